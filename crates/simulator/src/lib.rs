//! The whole system on virtual time, under every fault we can think of.
//!
//! One seed is one world: merchants, customers, providers with books of their own, a durable
//! store, and one or two processes that run the real [`engine::Engine`]. Every await of the
//! engine is a place where its process may die, stand still, or be overtaken. After every step
//! the checkers compare what became durable with what the providers did, by the numbers of the
//! rules in `DESIGN.md`; when faults have stopped, everything must end.
//!
//! Some seeds are towns: customers pay by bank transfer as well, and the real
//! [`recovery::bank::Ledger`] answers for it from the statements of an account, with clerks who
//! place what names nothing and send back what is too much.
//!
//! Some seeds are sieges: operators pause features and move the degradation ladder, renewals and
//! top-ups are kept and released, orders are held and their customers come back. The controls are
//! durable there, and each process runs the loops that the server's workers run.
//!
//! A seed replays exactly. A violation shrinks: payments, kinds of faults, single faults and
//! single acts are left out as long as the same rule breaks.
//!
//! What is not here: the wire protocols (the providers' codecs have their own tests) and the
//! real stores (one conformance suite keeps them to the semantics that `books` has).

mod bank;
mod books;
mod checks;
mod disk;
mod executor;
mod faults;
mod host;
mod kept;
mod mail;
mod paths;
mod plant;
mod provider;
mod report;
pub mod rescue;
mod script;
mod shrink;
mod siege;
mod sim;
mod spoil;
mod stream;
mod town;
mod verdict;
mod wire;
mod world;

pub use faults::Fault;
pub use host::Point;
pub use paths::Path;
pub use plant::Plant;
pub use report::{Counts, Found, Report};
pub use shrink::shrink;
pub use sim::{Outcome, simulate};
pub use world::{Run, Violation};
