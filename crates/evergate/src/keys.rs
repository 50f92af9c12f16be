//! `evergate keys new`: a secret shown once, and the lines that make it valid.

use domain::MerchantId;
use serde_json::json;

use crate::args::KeyRole;
use crate::lang::Lang;

/// A new key's secret and the lines of the configuration.
pub fn new(merchant: &str, role: KeyRole, lang: Lang, as_json: bool) -> anyhow::Result<String> {
    let merchant = MerchantId::new(merchant)?;
    let (secret, hash) = server::generate_key(crate::clock::random());
    let role = match role {
        KeyRole::Merchant => "merchant",
        KeyRole::Operator => "operator",
    };
    let lines = section(merchant.as_str(), role, &hash);
    if as_json {
        let key = json!({
            "secret": secret, "merchant": merchant, "role": role, "hash": hash, "config": lines,
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
