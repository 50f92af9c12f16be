//! PEM texts, and the bare Base64 that provider consoles hand out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// One block of a PEM text.
pub(super) struct Block {
    /// `PRIVATE KEY`, `CERTIFICATE` and so on; empty for bare Base64.
    pub(super) label: String,
    /// The decoded bytes.
    pub(super) der: zeroize::Zeroizing<Vec<u8>>,
}

/// Every block of a text, in order; a text without any block is read as bare Base64.
pub(super) fn blocks(text: &str) -> Result<Vec<Block>, &'static str> {
    if !text.contains("-----BEGIN ") {
        return Ok(vec![block("", text)?]);
    }
    let mut found = Vec::new();
    for part in text.split("-----BEGIN ").skip(1) {
        let (label, rest) = part.split_once("-----").ok_or("the PEM header is cut off")?;
        let (body, _) =
            rest.split_once("-----END ").ok_or("the PEM text has no END line; it is cut off")?;
        found.push(block(label, body)?);
    }
    Ok(found)
}

fn block(label: &str, body: &str) -> Result<Block, &'static str> {
    let packed: zeroize::Zeroizing<String> =
        zeroize::Zeroizing::new(body.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    if packed.is_empty() {
        return Err("it is empty");
    }
    let der = STANDARD.decode(packed.as_bytes()).map_err(|_| "it is not Base64 or PEM")?;
    Ok(Block { label: label.to_owned(), der: zeroize::Zeroizing::new(der) })
}
