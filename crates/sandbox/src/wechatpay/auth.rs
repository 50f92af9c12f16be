//! Who is asking: the `Authorization` header, verified over the exact bytes of the request.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::codes::Failure;
use super::{Intake, WechatPayAccount};
use crate::books::Millis;

const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";
/// How far a request's clock may be off.
const CLOCK_SKEW_S: i64 = 300;

/// A field of the header, in whatever order the fields stand.
pub(crate) fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let fields = header.strip_prefix(SCHEME)?;
    fields.split(',').find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then(|| value.strip_prefix('"')?.strip_suffix('"')).flatten()
    })
}

/// The text of an answer's or a callback's signature.
pub(crate) fn answer_text(timestamp: &str, nonce: &str, body: &str) -> String {
    format!("{timestamp}\n{nonce}\n{body}\n")
}

/// The account that this request proves to come from.
pub(crate) fn admit(intake: &Intake, now: Millis) -> Result<&Arc<WechatPayAccount>, Failure> {
    let call = &intake.call;
    for header in ["user-agent", "accept"] {
        if call.header(header).is_none_or(str::is_empty) {
            return Err(Failure::parameter(header, "Http 头缺少 Accept 或 User-Agent"));
        }
    }
    let header =
        call.header("authorization").ok_or_else(|| Failure::sign("Http 头缺少 Authorization"))?;
    let need = |name| field(header, name).ok_or_else(|| Failure::sign("Authorization 格式错误"));
    need("mchid")?;
    let account = intake.account.as_ref().ok_or_else(|| Failure::sign("商户号不存在"))?;
    if !need("serial_no")?.eq_ignore_ascii_case(&account.merchant_serial) {
        return Err(Failure::sign("商户证书序列号有误"));
    }
    let timestamp = need("timestamp")?;
    let at: i64 = timestamp.parse().map_err(|_| Failure::sign("时间戳格式错误"))?;
    if (now.div_euclid(1_000) - at).abs() > CLOCK_SKEW_S {
        return Err(Failure::sign(
            "Http 头 Authorization 中的 timestamp 与发起请求的时间不得超过 5 分钟",
        ));
    }
    let mut text =
        format!("{}\n{}\n{timestamp}\n{}\n", call.method, call.target(), need("nonce_str")?)
            .into_bytes();
    text.extend_from_slice(&call.body);
    text.push(b'\n');
    if !account.merchant_key.verify(&text, need("signature")?) {
        return Err(Failure::sign("错误的签名，验签失败"));
    }
    choose_key(account, call.header("wechatpay-serial"))?;
    Ok(account)
}

/// Notes which of the platform's keys the merchant verifies with.
fn choose_key(account: &WechatPayAccount, serial: Option<&str>) -> Result<(), Failure> {
    let by_public_key = match serial {
        Some(serial) if serial.starts_with("PUB_KEY_ID_") => {
            if serial != account.public_key.serial {
                return Err(Failure::parameter("Wechatpay-Serial", "微信支付公钥 ID 不存在"));
            }
            true
        }
        _ => false,
    };
    account.public_key_mode.store(by_public_key, Ordering::Relaxed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_any_order() {
        let header =
            "WECHATPAY2-SHA256-RSA2048 nonce_str=\"n\", signature=\"a+b/c==\",mchid=\"16\"";
        assert_eq!(field(header, "mchid"), Some("16"));
        assert_eq!(field(header, "signature"), Some("a+b/c=="));
        assert_eq!(field(header, "serial_no"), None);
        assert_eq!(field("Bearer mchid=\"16\"", "mchid"), None);
        assert_eq!(field("WECHATPAY2-SHA256-RSA2048 mchid=16", "mchid"), None);
    }
}
