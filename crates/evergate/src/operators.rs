//! `evergate operators hash`: a password's digest, and the lines that let its owner sign in to
//! the console.
//!
//! A password is never taken from the command line, where everybody on the machine can read it
//! and the shell remembers it.

use std::io::{IsTerminal as _, Read as _};

use anyhow::{Context as _, Result, bail};
use console::Term;
use domain::MerchantId;
use serde_json::json;

use crate::args::OperatorRole;
use crate::lang::Lang;

/// The longest input that is read.
const READ_MAX: u64 = 4_096;

/// Reads a password and prints the table for the configuration.
///
/// # Errors
/// When the name cannot be one, or the password is weak or cannot be read.
pub fn hash(name: &str, role: OperatorRole, lang: Lang, as_json: bool) -> Result<String> {
    let name = MerchantId::new(name)
        .map_err(|_| anyhow::anyhow!("--name: use 1 to 40 letters, digits, _ and -"))?;
    let password = read_password(lang)?;
    if let Some(rule) = server::weakness(&password, name.as_str()) {
        bail!("the password is too weak: {rule}");
    }
    let hash = server::hash_password(&password, crate::clock::random());
    let table = section(name.as_str(), role, &hash);
    if as_json {
        let told = json!({
            "name": name, "role": role.name(), "password_hash": hash, "config": table,
        });
        return Ok(told.to_string());
    }
    let add = lang.pick("Add to the configuration:", "请加入配置文件：");
    Ok(format!("{add}\n\n{table}"))
}

/// From a prompt twice, or the first line of the standard input.
fn read_password(lang: Lang) -> Result<String> {
    if !std::io::stdin().is_terminal() {
        let mut text = String::new();
        let read = std::io::stdin().take(READ_MAX).read_to_string(&mut text);
        read.context("the password cannot be read from the standard input")?;
        return Ok(text.lines().next().unwrap_or("").to_owned());
    }
    let term = Term::stderr();
    let ask = |words: &str| -> Result<String> {
        term.write_str(words)?;
        Ok(term.read_secure_line()?)
    };
    let first = ask(lang.pick("Password (at least 12 characters): ", "密码（至少 12 个字符）："))?;
    let again = ask(lang.pick("The same again: ", "请再输入一次："))?;
    if first != again {
        bail!("the two passwords differ; nothing was made");
    }
    Ok(first)
}

/// The table that lets somebody sign in.
pub fn section(name: &str, role: OperatorRole, hash: &str) -> String {
    let role = role.name();
    format!("[[operators]]\nname = \"{name}\"\nrole = \"{role}\"\npassword_hash = \"{hash}\"\n")
}
