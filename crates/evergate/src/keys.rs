//! `evergate keys new`: a secret shown once, and the lines that make it valid.

use domain::MerchantId;
use serde_json::json;

use crate::args::KeyRole;
use crate::lang::Lang;

/// A new key's secret and the lines of the configuration.
///
/// # Errors
/// When a merchant's key names no merchant, or a name cannot be one.
pub fn new(
    merchant: Option<&str>,
    name: Option<&str>,
    role: KeyRole,
    lang: Lang,
    as_json: bool,
) -> anyhow::Result<String> {
    if merchant.is_none() && matches!(role, KeyRole::Merchant) {
        anyhow::bail!("--merchant: a merchant's key needs one; say whose payments it is for");
    }
    let merchant = merchant.map(MerchantId::new).transpose()?;
    // Names stand in logs and in the audit log: the same characters will do.
    let name = name.map(MerchantId::new).transpose()?;
    let (secret, hash) = server::generate_key(crate::clock::random());
    if merchant.is_some() && matches!(role, KeyRole::Viewer) {
        anyhow::bail!("--merchant: a key that only looks collects for nobody; leave it out");
    }
    let role = role.name();
    let mut lines = String::from("[[api_keys]]\n");
    for (field, text) in [("name", &name), ("merchant", &merchant)] {
        if let Some(text) = text {
            lines.push_str(&format!("{field} = \"{text}\"\n"));
        }
    }
    lines.push_str(&format!("role = \"{role}\"\nhash = \"{hash}\"\n"));
    if as_json {
        let key = json!({
            "secret": secret, "name": name, "merchant": merchant, "role": role, "hash": hash,
            "config": lines,
        });
        return Ok(key.to_string());
    }
    let (once, add) = lang.pick(
        ("The secret, shown this once:", "Add to the configuration:"),
        ("密钥（仅显示这一次）：", "请加入配置文件："),
    );
    Ok(format!("{once}\n\n  {secret}\n\n{add}\n\n{lines}"))
}

/// The table that makes a key valid.
pub fn section(merchant: &str, role: &str, hash: &str) -> String {
    format!("[[api_keys]]\nmerchant = \"{merchant}\"\nrole = \"{role}\"\nhash = \"{hash}\"\n")
}
