//! `evergate notes` and `evergate check` where the mail server is wrong: one line that says so.

use std::path::Path;

use crate::support::{code, file, free_port, json_of, run, stderr};

const CHANNEL: &str = "[[channels]]\nname = \"bank-main\"\nprovider = \"bank\"\npayee = \"Shop\"\n\
                       bank = \"Bank\"\naccount = \"6222020200112233\"\ncurrencies = [\"CNY\"]\n";

fn config(folder: &Path, port: u16) -> String {
    let text = format!(
        "{CHANNEL}\n[customer_messages]\nfrom = \"orders@shop.example\"\n\
         [customer_messages.smtp]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\n"
    );
    file(folder, "evergate.toml", &text).to_string_lossy().into_owned()
}

#[test]
fn a_test_mail_says_in_one_line_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let closed = config(folder.path(), free_port());
    let output = run(&["notes", "test", "--to", "you@example.com", "--config", &closed]);
    assert_ne!(code(&output), 0);
    let told = stderr(&output);
    assert_eq!(told.trim().lines().count(), 1, "{told}");
    assert!(told.contains("the mail server cannot be used"), "{told}");
    assert!(told.to_lowercase().contains("refused"), "{told}");

    let output = run(&["notes", "test", "--to", "you", "--config", &closed]);
    assert_ne!(code(&output), 0);
    assert!(stderr(&output).contains("--to must be an e-mail address"), "{}", stderr(&output));

    let none = file(folder.path(), "none.toml", CHANNEL).to_string_lossy().into_owned();
    let output = run(&["notes", "test", "--to", "you@example.com", "--config", &none]);
    assert!(stderr(&output).contains("[customer_messages.smtp]"), "{}", stderr(&output));
}

#[test]
fn a_check_connects_to_the_mail_server() {
    let folder = tempfile::tempdir().unwrap();
    let closed = config(folder.path(), free_port());
    let output = run(&["check", "--json", "--config", &closed]);
    assert_eq!(code(&output), 2);
    let told = json_of(&output);
    let findings = told["findings"].as_array().unwrap();
    let smtp = findings.iter().find(|f| f["what"] == "customer_messages.smtp").unwrap();
    assert_eq!(smtp["level"], "error", "{told}");
    let output = run(&["check", "--json", "--offline", "--config", &closed]);
    let told = json_of(&output);
    let findings = told["findings"].as_array().unwrap();
    assert!(findings.iter().any(|f| f["what"] == "customer_messages" && f["level"] == "ok"));
}
