//! What a browser asks for besides the page: the language, and that a form is really ours.
//!
//! A customer has no session, so a form proves nothing but that its sender knows the link. What
//! is refused is a form that another site made a browser send, and one with fields that the
//! page does not have: amount, payee and currency are nowhere taken from a request.

use domain::Locale;
use http::{HeaderMap, header};

/// The name of the one cookie: a language, nothing else.
const COOKIE: &str = "evergate_lang";

/// The language of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tongue {
    pub(crate) locale: Locale,
    /// Whether the address asks for it.
    pub(crate) asked: bool,
}

/// The language: what the address asks for, what was asked for before, what the browser
/// prefers, and at last `otherwise`.
pub(crate) fn tongue(query: Option<&str>, headers: &HeaderMap, otherwise: Locale) -> Tongue {
    let pairs = form_urlencoded::parse(query.unwrap_or("").as_bytes());
    let asked = pairs.into_iter().find(|(name, _)| name == "lang").and_then(|(_, v)| named(&v));
    let locale =
        asked.or_else(|| remembered(headers)).or_else(|| preferred(headers)).unwrap_or(otherwise);
    Tongue { locale, asked: asked.is_some() }
}

fn named(text: &str) -> Option<Locale> {
    match text {
        "zh" => Some(Locale::Zh),
        "en" => Some(Locale::En),
        _ => None,
    }
}

fn remembered(headers: &HeaderMap) -> Option<Locale> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| name.trim() == COOKIE).and_then(|(_, value)| named(value.trim()))
}

/// The cookie that remembers a language for a year.
pub(crate) fn remember(locale: Locale) -> String {
    let name = match locale {
        Locale::Zh => "zh",
        Locale::En => "en",
    };
    format!("{COOKIE}={name}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly")
}

/// The one of our two languages that the browser prefers, by its weights and then by its order.
fn preferred(headers: &HeaderMap) -> Option<Locale> {
    let line = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
    let mut best: Option<(f32, Locale)> = None;
    for part in line.split(',') {
        let mut fields = part.split(';');
        let tag = fields.next().unwrap_or("").trim().to_ascii_lowercase();
        let primary = tag.split('-').next().unwrap_or("");
        let weight = fields.find_map(|f| f.trim().strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
        let Some(locale) = named(primary).filter(|_| weight > 0.0) else { continue };
        if best.is_none_or(|(known, _)| weight > known) {
            best = Some((weight, locale));
        }
    }
    best.map(|(_, locale)| locale)
}

/// Whether a request that changes something comes from our own page. Browsers say so in
/// `Sec-Fetch-Site`, older ones in `Origin`; a program that sends neither acts for nobody else.
pub(crate) fn is_own(headers: &HeaderMap, public_url: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text("origin") else { return true };
    let ours = origin_of(public_url);
    let here = text("host").and_then(|host| origin.split_once("://").map(|(_, o)| o == host));
    Some(origin) == ours.as_deref() || here == Some(true)
}

/// Scheme, host and port of an address.
pub(crate) fn origin_of(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?))
}

/// The fields of a form, which must be exactly these, each once.
pub(crate) fn fields<const N: usize>(body: &[u8], names: [&str; N]) -> Option<[String; N]> {
    let mut found = [const { None }; N];
    for (name, value) in form_urlencoded::parse(body) {
        let at = names.iter().position(|known| *known == name)?;
        if found[at].replace(value.into_owned()).is_some() {
            return None;
        }
    }
    found.iter().all(Option::is_some).then(|| found.map(Option::unwrap_or_default))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn the_language_is_asked_for_remembered_or_preferred() {
        let of = |query, pairs: &[_]| tongue(query, &headers(pairs), Locale::Zh);
        let zh = ("accept-language", "zh-CN,zh;q=0.9,en;q=0.8");
        assert_eq!(of(None, &[]), Tongue { locale: Locale::Zh, asked: false });
        assert_eq!(of(None, &[("accept-language", "fr, en-GB;q=0.5")]).locale, Locale::En);
        assert_eq!(of(None, &[("accept-language", "en;q=0.5, zh;q=0.9")]).locale, Locale::Zh);
        assert_eq!(of(None, &[("accept-language", "zh;q=0, en;q=0.1")]).locale, Locale::En);
        let cookie = ("cookie", "a=b; evergate_lang=en");
        assert_eq!(of(None, &[zh, cookie]).locale, Locale::En);
        let asked = of(Some("x=1&lang=zh"), &[cookie]);
        assert_eq!(asked, Tongue { locale: Locale::Zh, asked: true });
        assert_eq!(of(Some("lang=xx"), &[zh]), Tongue { locale: Locale::Zh, asked: false });
    }

    #[test]
    fn forms_of_other_sites_are_refused() {
        let own = |pairs: &[_]| is_own(&headers(pairs), "https://pay.example/base");
        assert!(own(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(!own(&[("sec-fetch-site", "cross-site"), ("origin", "https://pay.example")]));
        assert!(!own(&[("sec-fetch-site", "same-site")]));
        assert!(own(&[("origin", "https://pay.example"), ("host", "10.0.0.1")]));
        assert!(own(&[("origin", "http://127.0.0.1:81"), ("host", "127.0.0.1:81")]));
        assert!(!own(&[("origin", "https://evil.example"), ("host", "pay.example")]));
        assert!(!own(&[("origin", "null"), ("host", "pay.example")]));
        assert!(own(&[]), "curl");
    }

    #[test]
    fn a_form_has_exactly_its_fields() {
        let read = |body: &str| fields(body.as_bytes(), ["after", "method"]);
        assert_eq!(read("method=card&after=1"), Some(["1".to_owned(), "card".to_owned()]));
        for bad in ["", "method=card", "method=card&after=1&amount=1", "method=a&method=b&after=1"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(fields(b"", []), Some([]));
        assert_eq!(fields(b"amount=1", []), None);
    }
}
