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
mod words;

pub use checkout::{
    Charge, Checkout, Choice, Later, Script, Shown, Standing, Transfer, page, panel,
};

pub use reminders::{Reminders, no_such_reminder, reminders};

/// The style sheet of the checkout page.
pub const CHECKOUT_CSS: &str = include_str!("../assets/checkout.css");

/// Its script; the page does without it.
pub const CHECKOUT_JS: &str = include_str!("../assets/checkout.js");
