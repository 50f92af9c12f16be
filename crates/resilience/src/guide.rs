//! What the merchant has said about routing: rules, price lists, and where the clock hangs.

use std::collections::BTreeMap;

use domain::{ChannelId, Method, Money};
use jiff::tz::TimeZone;

use crate::{FeeTable, Rules};

/// Rules and prices of one configuration, replaced as a whole.
#[derive(Clone, Debug)]
pub struct Guide {
    /// The rules.
    pub rules: Rules,
    /// Each channel's price list, where it has one.
    pub fees: BTreeMap<ChannelId, FeeTable>,
    /// The time zone of `time`, `weekday` and `date` in rules.
    pub zone: TimeZone,
}

impl Default for Guide {
    fn default() -> Guide {
        Guide { rules: Rules::default(), fees: BTreeMap::new(), zone: TimeZone::UTC }
    }
}

impl Guide {
    /// What a payment would cost on a channel, in its currency's minor units; `None` where no
    /// price is known.
    pub fn fee(
        &self,
        channel: &ChannelId,
        method: Method,
        money: Money,
        issuer: Option<&str>,
    ) -> Option<i64> {
        self.fees.get(channel)?.fee(money, method, issuer)
    }
}
