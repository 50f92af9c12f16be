//! Keys and configuration that change while payments are made.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;

use crate::support::{
    Process, Town, code, code_of, eventually, file, json_of, order, stderr, stdout,
};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const QUICK: &str = "[config]\nwatch_files = \"100ms\"\nstage_watch = \"1s\"\nstage_calls = 5\n\
                     [probes]\nevery = \"off\"\n";

async fn town() -> (Town, Process) {
    let town = Town::start("http://127.0.0.1:1/hook", SECRET);
    let config = std::fs::read_to_string(town.config()).unwrap();
    std::fs::write(town.config(), format!("{config}\n{QUICK}")).unwrap();
    let gateway = town.serve();
    town.ready().await;
    (town, gateway)
}

/// Shoppers who pay by card, one after the other, until it is stopped.
struct Traffic {
    stop: Arc<AtomicBool>,
    made: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<Vec<Value>>>,
}

impl Traffic {
    fn start(town: &Town, name: &str) -> Traffic {
        let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let tasks = (0..2).map(|shopper| {
            let (api, stop, made) = (town.api(), Arc::clone(&stop), Arc::clone(&made));
            let name = name.to_owned();
            tokio::spawn(async move {
                let mut bad = Vec::new();
                for n in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let wish = order(&format!("{name}-{shopper}-{n}"), 1_999, "card");
                    let (_, payment) = api.post("/v1/payments", &wish, None).await.unwrap();
                    let attempts = payment["attempts"].as_array().map_or(0, Vec::len);
                    if payment["status"] != "requires_customer" || attempts > 1 {
                        bad.push(payment);
                    }
                    made.fetch_add(1, Ordering::SeqCst);
                }
                bad
            })
        });
        let tasks = tasks.collect();
        Traffic { stop, made, tasks }
    }

    /// Waits until some more payments were made.
    async fn flows(&self) {
        let before = self.made.load(Ordering::SeqCst);
        let flows = async || (self.made.load(Ordering::SeqCst) > before + 3).then_some(());
        eventually("payments are made", flows).await;
    }

    /// Ends it; every payment was shown at its first attempt.
    async fn was_undisturbed(self) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            let bad = task.await.unwrap();
            assert!(bad.is_empty(), "{:?}", bad.first());
        }
    }
}

fn text(town: &Town) -> String {
    std::fs::read_to_string(town.config()).unwrap()
}

/// The configuration with another key for cards.
fn with_key(text: &str, key: &str) -> String {
    let line = text.lines().find(|line| line.contains("secret_key_file")).unwrap();
    text.replace(line, &format!("secret_key = \"{key}\""))
}

fn key_file(town: &Town) -> PathBuf {
    let text = text(town);
    let line = text.lines().find(|line| line.contains("secret_key_file")).unwrap();
    let name = line.split('"').nth(1).unwrap();
    town.config().parent().unwrap().join(name)
}

fn config(town: &Town, args: &[&str]) -> std::process::Output {
    let all: Vec<&str> = ["config"].into_iter().chain(args.iter().copied()).collect();
    town.command(&town.operator_key, &all)
}

fn status(town: &Town) -> Value {
    json_of(&config(town, &["status", "--json"]))
}

fn states(town: &Town) -> Vec<(u64, String)> {
    let listed = json_of(&config(town, &["history", "--json"]));
    let versions = listed["versions"].as_array().unwrap().iter();
    let state =
        |v: &Value| (v["version"].as_u64().unwrap(), v["state"].as_str().unwrap().to_owned());
    versions.map(state).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_goes_back_by_itself_and_no_payment_fails() {
    let (town, _gateway) = town().await;
    let before = text(&town);
    let wrong = file(town.folder.path(), "wrong.toml", &with_key(&before, "sk_test_wrong00000000"));
    let wrong = wrong.to_string_lossy().into_owned();

    // The difference is told without the key.
    let told = stdout(&config(&town, &["diff", &wrong]));
    assert!(told.contains("secret_key") && told.contains("stripe-main"), "{told}");
    assert!(!told.contains("sk_test_wrong"), "{told}");

    let traffic = Traffic::start(&town, "W");
    traffic.flows().await;
    // A signed question finds it out before any payment.
    let asked = config(&town, &["apply", &wrong, "--reason", "new key", "--stages", "20,100"]);
    assert_eq!(code(&asked), 1, "{}{}", stdout(&asked), stderr(&asked));
    assert!(stdout(&asked).contains("signed question"), "{}", stdout(&asked));
    // Without one, the share finds it out, and the settings in force stand in.
    let args =
        ["apply", &wrong, "--reason", "new key", "--stages", "20,100", "--no-probe", "--json"];
    let tried = config(&town, &args);
    assert_eq!(code(&tried), 1, "{}{}", stdout(&tried), stderr(&tried));
    let told = stdout(&tried);
    let last: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    let arms = &last["last"]["channels"][0];
    assert_eq!(arms["channel"], "stripe-main", "{last}");
    assert!(arms["candidate"]["rescued"].as_u64().unwrap() >= 3, "{last}");
    // How many more there are until it is looked at is up to the machine.
    assert!(arms["candidate"]["rescued"].as_u64().unwrap() <= 100, "{last}");
    assert_eq!(arms["candidate"]["ok"], 0, "{last}");
    traffic.flows().await;
    traffic.was_undisturbed().await;

    assert_eq!(text(&town), before, "the file is as it was");
    let states = states(&town);
    assert_eq!(states[0], (3, "rolled_back".to_owned()));
    assert_eq!(states[2], (1, "live".to_owned()));
    let shown = stdout(&config(&town, &["show", "3"]));
    assert!(shown.contains("***") && !shown.contains("sk_test_wrong"), "{shown}");
    let signals = json_of(&town.command(&town.operator_key, &["signals", "--json"]));
    assert_eq!(signals["notes"][0]["kind"], "rolled_back", "{signals}");
    let channels = json_of(&town.command(&town.operator_key, &["channels", "list", "--json"]));
    for channel in channels["channels"].as_array().unwrap() {
        assert_eq!(channel["methods"][0]["health"], "healthy", "{channel}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_change_goes_through_its_stages_is_saved_and_can_be_taken_back() {
    let (town, mut gateway) = town().await;
    let before = text(&town);
    // The same key, given in another way, and another limit.
    let key = std::fs::read_to_string(key_file(&town)).unwrap();
    let after = with_key(&before, key.trim()).replace("amount_max_minor = 1", "");
    let after = format!("# rotated\n{after}");
    let good = file(town.folder.path(), "good.toml", &after);
    let good = good.to_string_lossy().into_owned();
    let traffic = Traffic::start(&town, "G");
    traffic.flows().await;
    let stale = ["apply", &good, "--reason", "rotation", "--based-on", "7"];
    let refused = config(&town, &stale);
    assert_eq!(code(&refused), 2);
    assert!(stderr(&refused).contains("config-conflict"), "{}", stderr(&refused));

    let args = ["apply", &good, "--reason", "rotation", "--stages", "20,60,100", "--based-on", "1"];
    let done = config(&town, &args);
    let told = stdout(&done);
    assert_eq!(code(&done), 0, "{told}{}", stderr(&done));
    for part in ["20 %", "60 %", "100 %", "is in force"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert_eq!(status(&town)["version"], 2);
    assert_eq!(text(&town), after, "the file is the new one");
    let previous = town.config().with_extension("toml.previous");
    assert_eq!(std::fs::read_to_string(&previous).unwrap(), before);

    let back = config(&town, &["rollback", "--reason", "not wanted"]);
    assert_eq!(code(&back), 0, "{}", stderr(&back));
    assert_eq!(status(&town)["version"], 3);
    assert_eq!(text(&town), before);
    traffic.flows().await;
    traffic.was_undisturbed().await;
    let audit = stdout(&config(&town, &["history"]));
    assert!(audit.contains("rollback to version 1: not wanted"), "{audit}");

    // A change that is being tried when the process dies is not there afterwards.
    let args = ["apply", &good, "--reason", "again", "--watch", "60s", "--detach"];
    assert_eq!(code(&config(&town, &args)), 0);
    gateway.kill();
    let _gateway = town.serve();
    town.ready().await;
    let states = states(&town);
    assert_eq!(states[0], (4, "interrupted".to_owned()));
    assert_eq!(states[1], (3, "live".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_read_again_when_their_file_changes_and_mistakes_change_nothing() {
    let (town, gateway) = town().await;
    let file = key_file(&town);
    let key = std::fs::read_to_string(&file).unwrap();
    let pays = async |number: &str| {
        let wish = order(number, 500, "card");
        let (_, payment) = town.api().post("/v1/payments", &wish, None).await.unwrap();
        payment["status"] == "requires_customer"
    };
    assert!(pays("K-1").await);
    let same = town.config().to_string_lossy().into_owned();
    assert!(stdout(&config(&town, &["diff", &same])).contains("nothing differs"));
    // Another key, as Kubernetes does it: a link that is pointed elsewhere.
    let other = file.with_extension("other");
    std::fs::write(&other, "sk_test_another0000000").unwrap();
    let link = file.with_extension("link");
    std::os::unix::fs::symlink(&other, &link).unwrap();
    std::fs::rename(&link, &file).unwrap();
    let log = town.log();
    let logged = |part: &str| std::fs::read_to_string(&log).unwrap().matches(part).count();
    eventually("the new key is used", async || (!pays_once(&town).await).then_some(())).await;
    std::fs::write(&file, &key).unwrap();
    eventually("the old key is used again", async || pays_once(&town).await.then_some(())).await;

    // What cannot be read changes nothing, by a file or by a signal.
    std::fs::write(&file, "no key at all").unwrap();
    eventually("it is refused", async || {
        let seen = json_of(&town.command(&town.operator_key, &["signals", "--json"]));
        (seen["notes"][0]["kind"] == "reload_failed").then_some(())
    })
    .await;
    assert!(pays("K-2").await);
    std::fs::write(&file, &key).unwrap();
    let good = text(&town);
    std::fs::write(town.config(), good.replace("[server]", "[server]\nmax_conections = 1"))
        .unwrap();
    let before = logged("is not taken over");
    gateway.hang_up();
    eventually("SIGHUP is heard", async || (logged("is not taken over") > before).then_some(()))
        .await;
    let refused = config(&town, &["reload"]);
    assert_eq!(code(&refused), 2);
    let told = stderr(&refused);
    assert!(told.contains("max_connections") && told.contains("2:1"), "{told}");
    assert!(pays("K-3").await);
    assert_eq!(status(&town)["version"], 1);

    // A file that reads is taken over, and is a version.
    std::fs::write(town.config(), good.replace("tries_per_request = 4", "") + "\n# by hand\n")
        .unwrap();
    let done = config(&town, &["reload"]);
    assert_eq!(code(&done), 0, "{}", stderr(&done));
    assert_eq!(status(&town)["version"], 2);
    // Another account under the same name is refused.
    let moved = good.replace("mch_id = \"", "mch_id = \"9");
    std::fs::write(town.config(), moved).unwrap();
    let refused = config(&town, &["reload"]);
    assert!(stderr(&refused).contains("add a new channel"), "{}", stderr(&refused));
    let metrics = crate::support::plain_client();
    let url = format!("{}/metrics", town.gateway_url);
    let seen = metrics.get(url).send().await.unwrap().text().await.unwrap();
    assert!(seen.contains("evergate_certificate_days_to_expiry{channel=\"wechat-main\""), "{seen}");
    assert!(seen.contains("evergate_config_version 2"), "{seen}");
}

async fn pays_once(town: &Town) -> bool {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = format!("O-{}", COUNT.fetch_add(1, Ordering::SeqCst));
    let (_, payment) =
        town.api().post("/v1/payments", &order(&number, 500, "card"), None).await.unwrap();
    payment["status"] == "requires_customer"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_removed_is_drained_also_after_a_restart() {
    let (town, mut gateway) = town().await;
    let (_, shown) =
        town.api().post("/v1/payments", &order("D-1", 700, "wechat_pay"), None).await.unwrap();
    let id = shown["id"].as_str().unwrap().to_owned();
    let all = text(&town);
    let (first, rest) = all.split_at(all.find("[[channels]]\n").unwrap());
    let kept: Vec<&str> =
        rest.split("[[channels]]\n").filter(|part| !part.contains("wechat-main")).collect();
    let less = format!("{first}{}", kept.join("[[channels]]\n"));
    let less = file(town.folder.path(), "less.toml", &less);
    let done = config(&town, &["apply", &less.to_string_lossy(), "--reason", "moved away"]);
    assert_eq!(code(&done), 0, "{}{}", stdout(&done), stderr(&done));
    assert_eq!(status(&town)["draining"][0]["channel"], "wechat-main");
    let wish = order("D-2", 700, "wechat_pay");
    let refused = town.api().post("/v1/payments", &wish, None).await;
    assert!(refused.is_err() || refused.unwrap().1["status"] != "processing");

    assert_eq!(gateway.terminate(), 0);
    let _gateway = town.serve();
    town.ready().await;
    assert_eq!(status(&town)["draining"][0]["open"], 1);
    town.sandbox("pay", serde_json::json!({ "code": code_of(&shown) })).await;
    eventually("what was begun there is still believed", async || {
        let paid = town.api().get(&format!("/v1/payments/{id}"), &[]).await.unwrap();
        (paid["status"] == "paid").then_some(())
    })
    .await;
    assert_eq!(status(&town)["draining"].as_array().unwrap().len(), 0);
}
