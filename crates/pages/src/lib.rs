//! What customers see in a browser, as plain functions from a view to HTML.
//!
//! A view holds only what may be shown; whoever fills it has decided what is true. The one
//! promise that is checked here is the costly one: "you were not charged" is printed only for
//! [`Charge::Proven`], which the books give, and everything else reads "being confirmed, please
//! do not pay again".
//!
//! Not here: routes, sessions, live updates. Pages work without any script; the script adds
//! the countdown, copying, and the refresh when something has changed.

mod checkout;
pub mod console;
mod reminders;
pub mod status;
mod words;

pub use checkout::{
    Back, Charge, Checkout, Choice, Ends, Held, Later, Saying, Shown, Standing, Transfer, page,
    panel, saying,
};

pub use reminders::{Reminders, no_such_reminder, reminders};

/// The style sheet of the checkout and status pages.
pub const CHECKOUT_CSS: &str = include_str!("../assets/checkout.css");

/// The checkout page's script; the page does without it.
pub const CHECKOUT_JS: &str = include_str!("../assets/checkout.js");

/// The script for shops' own pages, which marks the ways to pay that work.
pub const AVAILABILITY_JS: &str = include_str!("../assets/availability.js");

/// The prompt for a method that is out: what to use instead, where there is something.
pub fn prompt(
    locale: domain::Locale,
    out: domain::Method,
    instead: Option<domain::Method>,
) -> String {
    words::Words(locale).prompt(out, instead)
}

/// Changes whenever the style sheet or the script does; ends their addresses, so that browsers
/// may keep them for ever.
pub const EDITION: u64 = hash(
    concat!(include_str!("../assets/checkout.css"), include_str!("../assets/checkout.js"))
        .as_bytes(),
);

/// FNV-1a: tells texts of ours apart. Nothing that an attacker could gain from collides here.
pub(crate) const fn hash(bytes: &[u8]) -> u64 {
    let (mut hash, mut at) = (0xcbf2_9ce4_8422_2325_u64, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}
