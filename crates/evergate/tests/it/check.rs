//! `evergate check` against a sandbox: each mistake has its level and its exit code.

use evergate::setup::{Keys, Setup};
use sandbox::{MerchantMaterial, Options, Sandbox};
use serde_json::Value;

use crate::support::{code, file, json_of, run, stdout};

struct Fixture {
    folder: tempfile::TempDir,
    sandbox: Sandbox,
    accounts: Vec<(String, MerchantMaterial)>,
}

impl Fixture {
    async fn new() -> Fixture {
        evergate::init();
        let options = Options::demo(5);
        let accounts =
            options.accounts.iter().map(|a| (a.name.clone(), a.merchant_material())).collect();
        let sandbox = Sandbox::start(options).await.unwrap();
        Fixture { folder: tempfile::tempdir().unwrap(), sandbox, accounts }
    }

    fn text(&self, url: &str) -> String {
        let (_, hash) = server::generate_key([3; 32]);
        Setup {
            bind: "127.0.0.1:8080".parse().unwrap(),
            sandbox_url: url,
            accounts: self.accounts.clone(),
            api_keys: &format!(
                "[[api_keys]]\nmerchant = \"shop\"\nrole = \"merchant\"\nhash = \"{hash}\"\n"
            ),
            merchant: "shop",
            webhook: None,
            store: "evergate.db",
            each_channel: "timeout_ms = 2000\n",
            more: "",
        }
        .text(&mut Keys::Inline)
    }

    async fn check(&self, text: &str, more: &[&str]) -> (i32, Value) {
        let config = file(self.folder.path(), "evergate.toml", text);
        let mut args = vec!["check", "--json", "--config"];
        let config = config.to_string_lossy().into_owned();
        args.push(&config);
        args.extend(more);
        let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        // The sandbox needs this thread's runtime while the binary runs.
        let output = tokio::task::spawn_blocking(move || {
            run(&args.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .await
        .unwrap();
        (code(&output), json_of(&output))
    }

    fn wechat(&mut self) -> (&mut String, String) {
        let found = self.accounts.iter_mut().find_map(|(_, material)| match material {
            MerchantMaterial::WechatPay {
                merchant_certificate_pem,
                merchant_private_key_pem,
                ..
            } => Some((merchant_certificate_pem, merchant_private_key_pem.clone())),
            _ => None,
        });
        found.unwrap()
    }
}

fn errors(result: &Value) -> Vec<String> {
    let findings = result["findings"].as_array().unwrap();
    let errors = findings.iter().filter(|f| f["level"] != "ok");
    errors
        .map(|f| format!("{} {}", f["channel"].as_str().unwrap(), f["what"].as_str().unwrap()))
        .collect()
}

/// A certificate of this key that is valid on these days from today.
fn certificate(key_pem: &str, days: (i64, i64)) -> String {
    let key = rcgen::KeyPair::from_pem(key_pem).unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    let date = |days: i64| {
        let at = jiff::Timestamp::from_second(evergate::clock::now().as_secs() + days * 86_400);
        let day = at.unwrap().strftime("%Y-%m-%d").to_string();
        let parts: Vec<u16> = day.split('-').map(|part| part.parse().unwrap()).collect();
        let small = |part: u16| u8::try_from(part).unwrap();
        rcgen::date_time_ymd(i32::from(parts[0]), small(parts[1]), small(parts[2]))
    };
    (params.not_before, params.not_after) = (date(days.0), date(days.1));
    params.self_signed(&key).unwrap().pem()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_configuration_is_good() {
    let fixture = Fixture::new().await;
    let (code, result) = fixture.check(&fixture.text(&fixture.sandbox.base_url()), &[]).await;
    assert_eq!(code, 0, "{result:#}");
    let accepted = result["findings"].as_array().unwrap();
    let accepted = accepted.iter().filter(|f| f["what"] == "signed call" && f["level"] == "ok");
    assert_eq!(accepted.count(), 5, "{result:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_provider_does_not_know_is_an_error() {
    let mut fixture = Fixture::new().await;
    let (_, stranger) = fixture.wechat();
    for (_, material) in &mut fixture.accounts {
        match material {
            MerchantMaterial::Alipay { app_private_key_pem, .. } => {
                *app_private_key_pem = stranger.clone();
            }
            MerchantMaterial::Stripe { secret_key, .. } => {
                *secret_key = "sk_test_00000000000000000000000000000000".to_owned();
            }
            MerchantMaterial::Paypal { client_secret, .. } => *client_secret = "E0".to_owned(),
            MerchantMaterial::UnionPay { mer_id, .. } => *mer_id = "777000000000000".to_owned(),
            MerchantMaterial::WechatPay { .. } => {}
        }
    }
    let text = fixture.text(&fixture.sandbox.base_url());
    let (code, result) = fixture.check(&text, &[]).await;
    assert_eq!(code, 2, "{result:#}");
    assert_eq!(
        errors(&result),
        [
            "alipay-main signed call",
            "stripe-main signed call",
            "unionpay-main signed call",
            "paypal-main signed call"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_does_not_match_its_certificate_is_an_error_without_any_network() {
    let mut fixture = Fixture::new().await;
    let stranger = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let stranger = certificate(&stranger.serialize_pem(), (-10, 300));
    *fixture.wechat().0 = stranger;
    let text = fixture.text("http://127.0.0.1:1");
    let (code, result) = fixture.check(&text, &["--offline"]).await;
    assert_eq!(code, 2, "{result:#}");
    let errors = errors(&result);
    assert_eq!(errors.len(), 1, "{result:#}");
    assert!(errors[0].starts_with("wechat-main merchant_"), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_told_before_they_end() {
    let mut fixture = Fixture::new().await;
    for (days, expected) in [((-400, -1), 2), ((-300, 10), 1), ((5, 300), 2), ((-10, 300), 0)] {
        let (slot, key) = fixture.wechat();
        *slot = certificate(&key, days);
        let text = fixture.text("http://127.0.0.1:1");
        let (code, result) = fixture.check(&text, &["--offline"]).await;
        assert_eq!(code, expected, "{days:?}: {result:#}");
        if expected == 1 {
            let (code, _) = fixture.check(&text, &["--offline", "--warnings-ok"]).await;
            assert_eq!(code, 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_provider_is_told_with_its_layer() {
    let fixture = Fixture::new().await;
    let (code, result) = fixture.check(&fixture.text("http://127.0.0.1:1"), &[]).await;
    assert_eq!(code, 2, "{result:#}");
    let names = [
        "alipay-main tcp",
        "wechat-main tcp",
        "stripe-main tcp",
        "unionpay-main tcp",
        "paypal-main tcp",
    ];
    assert_eq!(errors(&result), names, "{result:#}");
}

#[test]
fn a_missing_key_file_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[[channels]]\nname = \"alipay-main\"\nprovider = \"alipay\"\n\
                app_id = \"2021000000000000\"\nprivate_key_file = \"gone.pem\"\n\
                alipay_public_key = \"not a key\"\n";
    let config = file(folder.path(), "evergate.toml", text);
    let output = run(&["check", "--config", &config.to_string_lossy()]);
    assert_eq!(code(&output), 2);
    let table = stdout(&output);
    for word in ["private_key_file", "alipay_public_key", "nobody may use the API", "2 errors"] {
        assert!(table.contains(word), "{word}:\n{table}");
    }
}
