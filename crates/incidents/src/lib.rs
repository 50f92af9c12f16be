//! The control plane's first part: what is known about channels besides the payments themselves.
//!
//! Pure, driven by values and a passed-in time:
//! * [`calendar`]: planned absences, one-off and weekly, in any time zone.
//! * [`statuspage`]: what a provider's status page says about its parts.
//! * [`downtime`]: events by which providers tell that something is down.
//! * [`expiry`]: when certificates end.
//! * [`agenda`]: when to look at what, at a bounded rate.
//!
//! Thin, with sockets and tasks:
//! * [`layers`]: a probe that names the layer that broke.
//! * [`feed`]: fetches status pages.
//! * [`desk`], [`duties`]: where signals come together, and the tasks that bring them.
//!
//! Kept: a word of a provider is evidence and never an order; nothing that comes from outside
//! can panic a reader; what cannot be understood is skipped and counted, not guessed; no duty
//! stands in the way of a payment.
//!
//! Not done here: any decision about a payment. The data plane works with what it last heard
//! when everything here has stopped.

pub mod agenda;
pub mod calendar;
pub mod desk;
pub mod downtime;
pub mod duties;
pub mod expiry;
pub mod feed;
pub mod layers;
pub mod statuspage;
