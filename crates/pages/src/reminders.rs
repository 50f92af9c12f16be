//! The page on which customers unsubscribe from reminders.

use askama::Template;
use domain::Locale;

use crate::words::Words;

/// Whether a person gets reminders of a merchant.
#[derive(Clone, Debug)]
pub struct Reminders<'a> {
    /// The language.
    pub locale: Locale,
    /// Whose reminders.
    pub brand: &'a str,
    /// To whom, masked.
    pub to: &'a str,
    /// As in the page's address.
    pub token: &'a str,
    /// Whether the person has unsubscribed.
    pub left: bool,
}

#[derive(Template)]
#[template(path = "reminders.html")]
struct Page<'a> {
    words: Words,
    /// Absent: there is nobody of this address.
    view: Option<&'a Reminders<'a>>,
}

/// The page.
pub fn reminders(view: &Reminders<'_>) -> String {
    render(Words(view.locale), Some(view))
}

/// The page of a link that leads to nobody.
pub fn no_such_reminder(locale: Option<Locale>) -> String {
    render(Words(locale.unwrap_or_default()), None)
}

fn render(words: Words, view: Option<&Reminders<'_>>) -> String {
    // Only a writer that fails makes it fail, and a text never does.
    Page { words, view }.render().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(locale: Locale, left: bool) -> Reminders<'static> {
        Reminders { locale, brand: "A<b>&", to: "l***@example.com", token: "abc", left }
    }

    #[test]
    fn the_page_says_how_it_stands_and_offers_the_other() {
        let on = reminders(&view(Locale::Zh, false));
        assert!(on.contains("lang=\"zh-CN\"") && on.contains("l***@example.com"), "{on}");
        assert!(on.contains("value=\"leave\"") && !on.contains("value=\"return\""), "{on}");
        assert!(on.contains("action=\"/u/abc?lang=zh\"") && on.contains("退订"), "{on}");
        let off = reminders(&view(Locale::En, true));
        assert!(off.contains("value=\"return\"") && !off.contains("value=\"leave\""), "{off}");
        assert!(off.contains("href=\"/u/abc?lang=zh\""), "{off}");
        for page in [on, off] {
            assert!(!page.contains("A<b>"), "{page}");
            assert!(!page.contains("<script"), "{page}");
        }
        let nobody = no_such_reminder(None);
        assert!(nobody.contains("链接无效") && !nobody.contains("<form"), "{nobody}");
    }
}
