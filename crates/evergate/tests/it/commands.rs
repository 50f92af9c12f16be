//! Small commands.

use std::io::Write as _;
use std::process::Stdio;

use crate::support::{code, evergate, json_of, run, stderr, stdout};

#[test]
fn help_names_every_command_and_explains_the_report() {
    let help = stdout(&run(&["--help"]));
    for command in ["demo", "serve", "sandbox", "check", "payments", "channels", "keys"] {
        assert!(help.contains(command), "{command}: {help}");
    }
    let demo = stdout(&run(&["demo", "--help"]));
    for word in ["lost", "charged_twice", "added latency", "Exit code"] {
        assert!(demo.contains(word), "{word}");
    }
    assert!(stdout(&run(&["check", "--help"])).contains("warnings only"));
}

#[test]
fn a_new_key_is_shown_once_with_the_lines_that_make_it_valid() {
    let key = json_of(&run(&["keys", "new", "--merchant", "shop", "--json"]));
    let secret = key["secret"].as_str().unwrap();
    assert!(secret.starts_with("evk_"));
    assert_eq!(server::hash_key(secret), key["hash"].as_str().unwrap());
    let text = stdout(&run(&["keys", "new", "--merchant", "shop", "--role", "operator"]));
    assert!(text.contains("[[api_keys]]") && text.contains("role = \"operator\""), "{text}");
    assert_eq!(code(&run(&["keys", "new", "--merchant", "no spaces please"])), 2);
    let person = stdout(&run(&["keys", "new", "--role", "operator", "--name", "li"]));
    assert!(person.contains("name = \"li\"") && !person.contains("merchant ="), "{person}");
    let nobodys = run(&["keys", "new"]);
    assert!(code(&nobodys) != 0 && stderr(&nobodys).contains("--merchant"));
}

/// Runs `operators hash` with a password on its standard input.
fn hash(args: &[&str], password: &str) -> std::process::Output {
    let mut command = evergate(&[&["operators", "hash"], args].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    process.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    process.wait_with_output().unwrap()
}

#[test]
fn a_password_becomes_the_lines_that_let_somebody_in() {
    let made = hash(&["--name", "li", "--role", "viewer"], "correct horse battery\n");
    let text = stdout(&made);
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    assert!(text.contains("[[operators]]\nname = \"li\"\nrole = \"viewer\"\n"), "{text}");
    assert!(text.contains("password_hash = \"$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
    assert!(!text.contains("correct horse"), "{text}");
    let operator = |hash: &str| server::Operator {
        name: "li".into(),
        role: server::Role::Viewer,
        password_hash: hash.into(),
    };
    let json = json_of(&hash(&["--name", "li", "--json"], "correct horse battery"));
    let digest = json["password_hash"].as_str().unwrap();
    assert!(server::Operators::new(vec![operator(digest)]).is_ok());
    assert_ne!(digest, json_of(&hash(&["--json"], "correct horse battery"))["password_hash"]);
}

#[test]
fn a_weak_password_is_refused_in_one_line_that_does_not_repeat_it() {
    for (password, rule) in [
        ("hunter2", "at least 12 characters"),
        ("", "at least 12 characters"),
        ("123456789012", "a row"),
        ("the password of li", "the operator's name"),
    ] {
        let refused = hash(&["--name", "li"], password);
        let told = stderr(&refused);
        assert_eq!(code(&refused), 2, "{password}");
        assert!(told.contains(rule) && told.lines().count() == 1, "{told}");
        assert!(password.is_empty() || !told.contains(password), "{told}");
    }
    assert_eq!(code(&hash(&["--name", "a b"], "correct horse battery")), 2);
}

#[test]
fn the_language_follows_the_environment_and_the_option() {
    let output = evergate(&["keys", "new", "--merchant", "shop"])
        .env("LC_ALL", "zh_CN.UTF-8")
        .output()
        .unwrap();
    assert!(stdout(&output).contains("密钥"), "{}", stdout(&output));
    let english = run(&["keys", "new", "--merchant", "shop", "--lang", "en"]);
    assert!(stdout(&english).contains("The secret"));
}

#[test]
fn the_api_is_described() {
    let document = json_of(&run(&["openapi"]));
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/v1/payments"].is_object());
}

#[test]
fn client_commands_say_in_one_line_what_is_missing() {
    let output = run(&["payments", "list"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("EVERGATE_API_KEY"), "{}", stderr(&output));
    let nobody = ["payments", "list", "--api-key", "evk_x", "--server", "http://127.0.0.1:1"];
    let output = run(&nobody);
    assert_eq!(code(&output), 2);
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
}

#[test]
fn a_folder_in_use_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("evergate.toml"), "# mine").unwrap();
    let dir = folder.path().to_string_lossy().into_owned();
    let output = run(&["sandbox", "--bind", "127.0.0.1:0", "--dir", &dir]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("--force"), "{}", stderr(&output));
    let kept = std::fs::read_to_string(folder.path().join("evergate.toml")).unwrap();
    assert_eq!(kept, "# mine");
}

#[test]
fn an_unknown_scenario_names_the_known_ones() {
    let output = run(&["demo", "--scenario", "flood"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("alipay-outage"), "{}", stderr(&output));
}
