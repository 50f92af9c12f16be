//! `evergate sandbox`: the fake providers alone, and a configuration that works against them.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use sandbox::{Account, Options, ProviderKind, Sandbox};
use serde_json::json;

use crate::args::{OperatorRole, SandboxArgs};
use crate::lang::Lang;
use crate::setup::{Keys, Setup};

/// The files that a run writes or finds.
const ACCOUNTS: &str = "accounts.json";
const CONFIG: &str = "evergate.toml";

/// Who may sign in to the console at first.
const ADMIN: &str = "admin";

/// Runs until a signal ends it.
///
/// # Errors
/// When the address is taken, or the folder cannot be written or holds files of another run.
pub async fn run(args: &SandboxArgs, lang: Lang, as_json: bool) -> Result<()> {
    crate::init();
    sandbox::run_ahead(crate::clock::ahead());
    let mut options = Options::demo(args.seed);
    options.bind = args.bind;
    options.time_scale = args.time_scale;
    add_spares(&mut options.accounts, args);
    let mut secrets = None;
    if let Some(dir) = &args.dir {
        let known = dir.join(ACCOUNTS).exists() && !args.force;
        if known {
            let found = read_accounts(&dir.join(ACCOUNTS))?;
            let missing = options.accounts.iter().find(|a| !found.iter().any(|f| f.name == a.name));
            if let Some(missing) = missing.filter(|_| !args.spare.is_empty()) {
                let file = dir.join(ACCOUNTS);
                bail!("{} has no {}; --force makes new accounts", file.display(), missing.name);
            }
            options.accounts = found;
        } else {
            secrets = Some(write(dir, args, &options.accounts)?);
        }
    }
    let sandbox = Sandbox::start(options)
        .await
        .with_context(|| format!("cannot run the sandbox on {}", args.bind))?;
    sandbox.reveal_keys(args.bind.ip().is_loopback());
    for account in sandbox.accounts() {
        // The others are told with each order where its notifications go.
        if matches!(account.provider, ProviderKind::Stripe | ProviderKind::Paypal) {
            let notify = format!("http://{}/v1/notifications/{}", args.gateway, account.name);
            sandbox.set_webhook(&account.name, &notify);
        }
    }
    if let Some(name) = &args.scenario {
        sandbox.load_scenario(&crate::demo::load_scenario(name)?);
    }
    tell(args, lang, as_json, &sandbox, secrets.as_ref());
    crate::serve::wait_for_a_signal().await?;
    sandbox.shutdown().await;
    Ok(())
}

/// Puts a second account after the first of its provider, so that it comes next in the
/// merchant's order of channels.
fn add_spares(accounts: &mut Vec<Account>, args: &SandboxArgs) {
    for &provider in &args.spare {
        let Some(main) = accounts.iter().position(|a| a.provider == provider) else { continue };
        let name = accounts[main].name.replace("-main", "-spare");
        if !accounts.iter().any(|a| a.name == name) {
            accounts.insert(main + 1, Account::generate(provider, &name, args.seed));
        }
    }
}

/// The secrets that are shown once.
struct Secrets {
    merchant: String,
    operator: String,
    webhook: String,
    /// Of the operator [`ADMIN`] at the console.
    password: String,
}

fn read_accounts(file: &Path) -> Result<Vec<Account>> {
    let text = fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{}; --force makes new accounts", file.display()))
}

/// Writes accounts, keys and configuration. Refuses to touch what is there.
fn write(dir: &Path, args: &SandboxArgs, accounts: &[Account]) -> Result<Secrets> {
    let taken = [ACCOUNTS, CONFIG].iter().find(|name| dir.join(name).exists());
    if let (Some(name), false) = (taken, args.force) {
        bail!("{} is there already; --force replaces it", dir.join(name).display());
    }
    let key = |role: &str| {
        let (secret, hash) = server::generate_key(crate::clock::random());
        (secret, crate::keys::section("shop", role, &hash))
    };
    let ((merchant, shop), (operator, operators)) = (key("merchant"), key("operator"));
    let webhook = server::generate_webhook_secret(crate::clock::random());
    let password = fresh_password();
    let hash = server::hash_password(&password, crate::clock::random());
    let admin = crate::operators::section(ADMIN, OperatorRole::Approver, &hash);
    let mut keys = Keys::Files(Vec::new());
    let text = Setup {
        bind: args.gateway,
        sandbox_url: &format!("http://{}", args.bind),
        accounts: accounts.iter().map(|a| (a.name.clone(), a.merchant_material())).collect(),
        api_keys: &format!("{shop}\n{operators}\n{admin}"),
        merchant: "shop",
        webhook: args.webhook.as_deref().map(|url| (url, webhook.as_str())),
        store: "evergate.db",
        each_channel: "",
        more: "",
    }
    .text(&mut keys);
    fs::create_dir_all(dir.join("keys")).with_context(|| format!("{}", dir.display()))?;
    if let Keys::Files(files) = keys {
        for (name, content) in files {
            private(&dir.join(name), &content)?;
        }
    }
    private(&dir.join(ACCOUNTS), &serde_json::to_string_pretty(accounts)?)?;
    private(&dir.join(CONFIG), &text)?;
    Ok(Secrets { merchant, operator, webhook, password })
}

/// A password of 100 random bits, in groups that are easy to type.
fn fresh_password() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let random: [u8; 20] = crate::clock::random();
    let letters: Vec<char> =
        random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    let groups = letters.chunks(5).map(|group| group.iter().collect::<String>());
    groups.collect::<Vec<_>>().join("-")
}

/// Writes a file that only its owner may read.
fn private(path: &Path, content: &str) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).with_context(|| format!("{}", path.display()))?;
    file.write_all(content.as_bytes()).with_context(|| format!("{}", path.display()))
}

fn tell(
    args: &SandboxArgs,
    lang: Lang,
    as_json: bool,
    sandbox: &Sandbox,
    secrets: Option<&Secrets>,
) {
    let url = sandbox.base_url();
    let config = args.dir.as_ref().map(|dir| dir.join(CONFIG));
    if as_json {
        let told = json!({
            "url": url,
            "config": config,
            "api_key": secrets.map(|s| &s.merchant),
            "operator_key": secrets.map(|s| &s.operator),
            "webhook_secret": secrets.map(|s| &s.webhook),
            "console_name": secrets.map(|_| ADMIN),
            "console_password": secrets.map(|s| &s.password),
        });
        println!("{told}");
        return;
    }
    println!("{} {url}", lang.pick("The fake providers listen on", "沙箱服务商地址："));
    let Some(config) = config else { return };
    if let Some(secrets) = secrets {
        let (shop, operator, once) = lang.pick(
            ("API key of the shop:    ", "API key of an operator: ", "(shown this once)"),
            ("商户 API 密钥：", "运维 API 密钥：", "（仅显示这一次）"),
        );
        println!("{shop} {}\n{operator} {}  {once}", secrets.merchant, secrets.operator);
        let console = lang.pick("Console, name and password:", "控制台用户名和密码：");
        println!("{console} {ADMIN} {}  {once}", secrets.password);
        if args.webhook.is_some() {
            println!("{} {}", lang.pick("Webhook secret:         ", "通知密钥："), secrets.webhook);
        }
    }
    let next = lang.pick("Now run:", "接下来运行：");
    println!("{next} evergate serve --config {}", config.display());
    let there = lang.pick("The console is then at", "之后可打开控制台：");
    println!("{there} http://{}/console", args.gateway);
}
