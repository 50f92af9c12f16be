//! The codecs and the driver against servers that misbehave on purpose.
//!
//! `peers` plays the providers from their protocols, with its own signing code;
//! `conformance` holds what every codec must do with good, broken and foreign answers.

mod alipay;
mod config;
mod conformance;
mod driver;
mod fake;
mod golden;
mod keys;
mod localstripe;
mod notices;
mod paypal;
mod peers;
mod properties;
mod rotation;
mod sandbox;
mod statements;
mod stripe;
mod unionpay;
mod wechatpay;
mod world;
