//! Small commands.

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
