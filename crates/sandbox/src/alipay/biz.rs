//! Reading `biz_content`.

use serde_json::{Map, Value};

use super::Params;
use super::codes::Failure;
use crate::books::Millis;
use crate::books::alipay::{Product, TradeSpec};
use crate::clock;

/// The business parameters of a call.
pub(crate) struct Biz(Map<String, Value>);

impl Biz {
    pub(crate) fn read(params: &Params) -> Result<Self, Failure> {
        let text = params.get("biz_content").ok_or_else(|| Failure::parameter("biz_content"))?;
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            _ => Err(Failure::parameter("biz_content")),
        }
    }

    /// A text field; absent, null and empty are the same.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(Failure::parameter(name)),
        }
    }

    fn need(&self, name: &str) -> Result<&str, Failure> {
        self.text(name)?.ok_or_else(|| Failure::parameter(name))
    }

    /// An amount in yuan, as text or as a number, in fen.
    pub(crate) fn amount(&self, name: &str) -> Result<i64, Failure> {
        let text = match self.0.get(name) {
            Some(Value::String(text)) => text.clone(),
            // Some SDKs serialise a decimal as a JSON number, and the provider takes it.
            Some(Value::Number(number)) => number.to_string(),
            _ => return Err(Failure::parameter(name)),
        };
        fen(&text).ok_or_else(|| Failure::parameter(name))
    }

    /// `trade_no` and `out_trade_no`, of which one has to be there.
    pub(crate) fn numbers(&self) -> Result<(Option<&str>, Option<&str>), Failure> {
        let (trade_no, out_trade_no) = (self.text("trade_no")?, self.text("out_trade_no")?);
        if trade_no.is_none() && out_trade_no.is_none() {
            return Err(Failure::parameter("out_trade_no"));
        }
        Ok((trade_no, out_trade_no))
    }

    /// The order that a create call describes.
    pub(crate) fn order(&self, params: &Params, product: Product) -> Result<TradeSpec, Failure> {
        let owned = |value: Option<&str>| value.map(str::to_owned);
        let url = |name: &str| params.get(name).filter(|url| !url.is_empty()).cloned();
        let out_trade_no = self.need("out_trade_no")?;
        if out_trade_no.len() > 64 || !out_trade_no.bytes().all(is_number_byte) {
            return Err(Failure::parameter("out_trade_no"));
        }
        let subject = self.need("subject")?;
        if subject.chars().count() > 256 || subject.contains(['/', '=', '&']) {
            return Err(Failure::parameter("subject"));
        }
        let passback_params = owned(self.text("passback_params")?);
        let body = owned(self.text("body")?);
        let bank = [&passback_params, &body].into_iter().flatten().find_map(|t| bank_hint(t));
        Ok(TradeSpec {
            out_trade_no: out_trade_no.to_owned(),
            total: self.amount("total_amount")?,
            subject: subject.to_owned(),
            product,
            notify_url: url("notify_url"),
            return_url: url("return_url"),
            time_expire: self.time_expire()?,
            timeout_express: self.timeout_express()?,
            passback_params,
            body,
            bank,
        })
    }

    fn time_expire(&self) -> Result<Option<Millis>, Failure> {
        let Some(text) = self.text("time_expire")? else { return Ok(None) };
        // The page products also document the form without seconds.
        let at = clock::parse_alipay_time(text)
            .or_else(|| clock::parse_alipay_time(&format!("{text}:00")));
        at.map(Some).ok_or_else(|| Failure::parameter("time_expire"))
    }

    fn timeout_express(&self) -> Result<Option<Millis>, Failure> {
        let Some(text) = self.text("timeout_express")? else { return Ok(None) };
        relative(text).map(Some).ok_or_else(|| Failure::parameter("timeout_express"))
    }
}

fn is_number_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// `1m` to `15d`; `1c`, the end of the day, is taken as a day.
fn relative(text: &str) -> Option<Millis> {
    const MINUTE: Millis = 60_000;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: Millis = number.parse().ok()?;
    let unit = match unit {
        "m" => MINUTE,
        "h" => 60 * MINUTE,
        "d" => 24 * 60 * MINUTE,
        "c" if number == 1 => 24 * 60 * MINUTE,
        _ => return None,
    };
    let span = number.checked_mul(unit)?;
    (MINUTE..=15 * 24 * 60 * MINUTE).contains(&span).then_some(span)
}

/// Yuan with at most two decimals, 0.01 to 100000000.00, in fen.
fn fen(text: &str) -> Option<i64> {
    let (whole, cents) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 9 || cents.len() > 2 || !digits(whole) || !digits(cents) {
        return None;
    }
    let fen = whole.parse::<i64>().ok()? * 100 + format!("{cents:0<2}").parse::<i64>().ok()?;
    (1..=10_000_000_000).contains(&fen).then_some(fen)
}

/// Fen as yuan with two decimals.
pub(crate) fn yuan(fen: i64) -> String {
    format!("{}.{:02}", fen / 100, fen % 100)
}

/// A bank named as `bank=CODE` in a text that merchants may fill as they like.
pub(crate) fn bank_hint(text: &str) -> Option<String> {
    form_urlencoded::parse(text.as_bytes())
        .find(|(key, value)| key == "bank" && !value.is_empty())
        .map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yuan_and_fen() {
        for (text, expected) in [
            ("0.01", Some(1)),
            ("88.88", Some(8_888)),
            ("5", Some(500)),
            ("5.5", Some(550)),
            ("100000000.00", Some(10_000_000_000)),
            ("100000000.01", None),
            ("0.00", None),
            ("-1", None),
            ("1e3", None),
            ("1.001", None),
            (".5", None),
            ("", None),
        ] {
            assert_eq!(fen(text), expected, "{text}");
        }
        assert_eq!(yuan(8_805), "88.05");
    }

    #[test]
    fn relative_spans() {
        assert_eq!(relative("90m"), Some(5_400_000));
        assert_eq!(relative("15d"), Some(1_296_000_000));
        for wrong in ["16d", "0m", "1.5h", "m", "", "1x", "时"] {
            assert_eq!(relative(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn banks_are_found_in_free_text() {
        assert_eq!(bank_hint("a=1&bank=ICBC").as_deref(), Some("ICBC"));
        assert_eq!(bank_hint("bank").as_deref(), None);
    }
}
