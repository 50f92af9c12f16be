//! Payments, attempts and refunds as values, and the rules that keep money safe.
//!
//! Everything here is a plain function of a value, a fact and a time. The engine loads a
//! [`Payment`], lets it decide, commits what it became, and only then performs the effects
//! that [`Payment::due`] asks for. This crate knows no clock, socket, runtime or database.
//!
//! The money-safety rules are numbered in `ARCHITECTURE.md`; code that keeps one names it.

mod attempt;
mod channel;
mod controls;
mod event;
mod hold;
mod ids;
mod ladder;
mod maintenance;
mod money;
mod offline;
mod operation;
mod outcome;
mod payment;
mod policy;
mod purpose;
mod refund;
mod share;
mod stepping;
mod terms;
mod time;

pub use attempt::{Ask, Attempt, AttemptState, Check, Choice, Considered, Proof, RuleNote, Source};
pub use channel::{ChannelRules, NotFound, Proves, RefundLimit, RefundLimits};
pub use controls::{Controls, Override};
pub use event::{Event, EventKind, Notification};
pub use hold::{Hold, HoldBy, HoldEnd, HoldRefused, Reminder};
pub use ids::{
    ChannelId, InvalidText, MerchantId, OrderNo, PaymentId, ProviderOrderNo, SYNTHETIC_MERCHANT,
};
pub use ladder::{Descent, Gate, Ladder, Level, Mover, Passage, Reach};
pub use maintenance::{Day, Maintenance, Scope, When};
pub use money::{Currency, InvalidMoney, Money};
pub use offline::{OFFLINE_CHANNEL, Offline, OfflineKind, OfflineRefused, offline_channel};
pub use operation::{Answer, CloseWhy, Operation, Order, OrderRef, RefundOrder};
pub use outcome::{
    Bilingual, Class, CloseState, Created, Decline, Fault, Notice, NoticeKind, OrderState, Outcome,
    Presentation, Receipt, RefundState, TransferTo,
};
pub use payment::{
    Blocked, EndGoal, Fact, Illegal, Payment, PaymentState, RefundRefused, Review, Status, Step,
    Task,
};
pub use policy::{Late, Policy, Schedule};
pub use purpose::{Purpose, PurposeName};
pub use refund::{Refund, RefundProgress, RefundReason};
pub use share::{Share, Tally};
pub use terms::{Device, Flow, Locale, Method, Terms, Tier};
pub use time::Timestamp;
