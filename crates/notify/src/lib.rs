//! Messages to customers: what is said ([`Kind`], [`Templates`]), to whom ([`Contact`]), when it
//! may be said ([`decide`]), and how an e-mail goes out ([`Mailer`]).
//!
//! All but the mailer is plain functions of values and a passed-in time. The invariants: nothing
//! leaves in quiet hours that may not; nobody gets more than the limits say; whoever
//! unsubscribed gets receipts and nothing else; every note is sent or suppressed in the end; no
//! text of a customer or merchant can become a header; contacts are in no error (rule 13).
//!
//! Not here: rows, workers, HTTP. A note is made by a commit and sent by `server`'s workers.

mod address;
mod decide;
mod kind;
mod mail;
mod quiet;
mod settings;
mod template;
mod text;

pub use address::{Contact, Way, addressee};
pub use decide::{Limits, Past, Question, Standing, Verdict, Why, decide};
pub use kind::{Kind, NoSuchKind};
pub use mail::{Letter, Mailer, MailerOptions, SendError, Tls, check_sender};
pub use quiet::{QuietHours, day_minute, zone};
pub use settings::{Brand, House, Settings};
pub use template::{BadTemplate, Template, Templates, TextPart};
pub use text::{Facts, Place, Written, sms_parts, write};
