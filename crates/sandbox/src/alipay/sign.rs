//! The texts that Alipay's signatures cover.

use serde_json::Value;

use super::Params;

/// A request's text: all parameters but `sign` and the empty ones, sorted, raw.
///
/// `sign_type` is part of it, unlike in notifications.
pub(crate) fn request_text(params: &Params) -> String {
    joined(params.iter().filter(|(name, _)| *name != "sign"))
}

/// A trade notification's text: `sign_type` is left out as well.
pub(crate) fn notification_text(params: &Params) -> String {
    joined(params.iter().filter(|(name, _)| *name != "sign" && *name != "sign_type"))
}

fn joined<'a>(params: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let pairs: Vec<String> = params
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

/// `alipay.trade.query` answers under `alipay_trade_query_response`.
pub(crate) fn response_name(method: &str) -> String {
    // A method that is not a name of the protocol must not reach the answer's structure.
    let sane = method.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    if method.is_empty() || !sane {
        return "error_response".to_owned();
    }
    format!("{}_response", method.replace('.', "_"))
}

/// JSON text with slashes escaped, as the gateway writes it. A slash occurs only within strings.
pub(crate) fn escaped(value: &Value) -> String {
    value.to_string().replace('/', "\\/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn requests_keep_sign_type_and_notifications_drop_it() {
        let params =
            params(&[("b", "2 &="), ("a", "1"), ("sign", "x"), ("sign_type", "RSA2"), ("e", "")]);
        assert_eq!(request_text(&params), "a=1&b=2 &=&sign_type=RSA2");
        assert_eq!(notification_text(&params), "a=1&b=2 &=");
    }

    #[test]
    fn names_are_kept_out_of_the_structure() {
        assert_eq!(response_name("alipay.trade.query"), "alipay_trade_query_response");
        assert_eq!(response_name("a\":{}"), "error_response");
        assert_eq!(response_name(""), "error_response");
    }
}
