//! A harmless signed call that tells each layer apart, for `evergate check`.

use std::time::Duration;

use domain::{Answer, ChannelId, Class, Fault, Operation, Timestamp};
use tokio::time::Instant;

use super::Driver;
use crate::{Reply, Verdict};

/// How far a probe came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeLayer {
    /// Nothing was sent: the channel is missing, or cannot ask the question.
    Local,
    /// The host name has no address.
    Dns,
    /// No connection.
    Connect,
    /// No TLS: the certificate, most likely.
    Tls,
    /// Connected, but no whole HTTP answer.
    Http,
    /// The provider answered, but not in a way that proves our credentials or its own.
    Answered,
    /// The provider took our signature or key and gave a good answer.
    Accepted,
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The last layer that was reached; for `Dns` to `Http` the one that failed.
    pub reached: ProbeLayer,
    /// Why it went no further: the provider's code or ours, without secrets.
    pub fault: Option<Fault>,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// The provider's clock minus ours, from its `Date` header, in seconds.
    pub clock_skew_s: Option<i64>,
    /// How long the first question took.
    pub took: Duration,
}

impl Driver {
    /// Asks a harmless question (see
    /// [`ChannelSettings::probe_operation`](crate::ChannelSettings::probe_operation)).
    pub async fn probe(&self, channel: &ChannelId, op: &Operation) -> Probe {
        let began = Instant::now();
        let mut probe = Probe {
            reached: ProbeLayer::Local,
            fault: None,
            status: None,
            clock_skew_s: None,
            took: Duration::ZERO,
        };
        let known = self.channels.load().get(channel).and_then(|slot| slot.usual().cloned());
        let Some(target) = known else {
            probe.fault = Some(Fault::new("no_channel", "the channel is not configured"));
            return probe;
        };
        let until = Timestamp::MAX;
        let deadline = self.deadline(&target, until);
        let (request, step) = match target.codec.request(op, &self.stamp()) {
            Ok(Verdict::Ask(request, step)) => (request, step),
            Ok(Verdict::Done(_)) => return probe,
            Err(why) => {
                probe.fault = Some(Fault::new("unsupported", why.0));
                return probe;
            }
        };
        let reply = self.send(channel, &target, request, &step, deadline, until).await;
        probe.took = began.elapsed();
        let answer = match target.codec.reply(op, &step, &reply, &self.stamp()) {
            Verdict::Done(answer) => Some(answer),
            Verdict::Ask(..) => None,
        };
        self.judge(&mut probe, &reply, answer.as_ref());
        probe
    }

    fn judge(&self, probe: &mut Probe, reply: &Reply, answer: Option<&Answer>) {
        match reply {
            Reply::NotSent(cause) => {
                probe.reached = match cause.code {
                    "dns" => ProbeLayer::Dns,
                    "tls" => ProbeLayer::Tls,
                    "connect" => ProbeLayer::Connect,
                    "token" => ProbeLayer::Http,
                    "credentials" => ProbeLayer::Answered,
                    _ => ProbeLayer::Local,
                };
                probe.fault = Some(Fault::new(cause.code, cause.detail.clone()));
            }
            Reply::Unanswered(cause) => {
                probe.reached = ProbeLayer::Http;
                probe.fault = Some(Fault::new(cause.code, cause.detail.clone()));
            }
            Reply::Answered(response) => {
                probe.status = Some(response.status);
                probe.clock_skew_s = response
                    .header("date")
                    .and_then(http_date)
                    .map(|theirs| theirs.as_secs() - (self.clock)().as_secs());
                let accepted = answer.is_none_or(|a| a.class() == Class::Ok);
                probe.reached = if accepted { ProbeLayer::Accepted } else { ProbeLayer::Answered };
                probe.fault = answer.and_then(fault_of);
            }
        }
    }
}

fn fault_of(answer: &Answer) -> Option<Fault> {
    use domain::Outcome;
    match answer {
        Answer::Query(Outcome::Rejected(f) | Outcome::Unavailable(f) | Outcome::Unknown(f)) => {
            Some(f.clone())
        }
        other => other.code().map(|code| Fault::new(code, "the provider refused the question")),
    }
}

/// Reads `Tue, 24 Nov 2026 04:37:00 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    let time = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_secs(time.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates_are_read() {
        let at = http_date("Tue, 14 Nov 2023 22:13:20 GMT");
        assert_eq!(at, Some(Timestamp::from_secs(1_700_000_000)));
        assert_eq!(http_date("soon"), None);
    }
}
