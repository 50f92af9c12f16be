//! The bank at which shoppers make transfers, with books of its own. It knows an account, an
//! amount and what the payer wrote, and tells the shop by statement files and by nothing else.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// How often the shop's accountant fetches a statement and uploads it.
const EVERY: Duration = Duration::from_secs(2);

/// The channel's table in the demo's configuration.
pub(super) const CHANNEL: &str = "
[[channels]]
name = \"bank-main\"
provider = \"bank\"
payee = { zh = \"示例商店有限公司\", en = \"Sample Shop Ltd\" }
bank = { zh = \"示例银行\", en = \"Sample Bank\" }
account = \"6222020200112233\"

[[channels.statements]]
type = \"csv\"
account = \"6222020200112233\"
currency = \"CNY\"
columns = { booked_on = \"date\", amount = \"amount\", bank_reference = \"id\", counterparty_name = \"payer\", counterparty_account = \"from\", text = [\"text\"] }
";

/// The bank, and the way of its statements to the gateway.
pub(super) struct Bank {
    http: reqwest::Client,
    /// Where statements go, and the operator's key for it.
    url: String,
    key: String,
    entries: Mutex<Vec<Entry>>,
}

/// A transfer in the bank's books.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The order number of the attempt that the payer was shown; the bank does not know it, and
    /// only the comparison of the books reads it.
    pub(super) number: String,
    /// In fen.
    pub(super) amount_minor: i64,
    amount_text: String,
    written: String,
}

impl Bank {
    /// A bank whose statements go to the gateway at `url`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub(super) fn new(url: &str, key: &str) -> Result<Bank> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .timeout(Duration::from_secs(10))
            .build()
            .context("the bank's client")?;
        let url = format!("{url}/v1/bank/bank-main/statements?format=csv");
        Ok(Bank { http, url, key: key.to_owned(), entries: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A shopper transfers what the payment shows. `false` when it shows no transfer.
    pub(super) fn transfer(&self, payment: &Value) -> bool {
        let shown = &payment["presentation"];
        let attempt = payment["attempts"].as_array().and_then(|attempts| attempts.last());
        let number = attempt.and_then(|attempt| attempt["number"].as_str());
        let (Some(number), Some(amount_minor), Some(amount), Some(written)) = (
            number,
            shown["amount"].as_i64(),
            shown["amount_text"].as_str(),
            shown["reference"].as_str(),
        ) else {
            return false;
        };
        self.lock().push(Entry {
            number: number.to_owned(),
            amount_minor,
            amount_text: amount.to_owned(),
            written: written.to_owned(),
        });
        true
    }

    /// Everything in its books.
    pub(super) fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    /// Uploads a statement whenever there is something new; ends only by being dropped.
    pub(super) async fn tell(&self) {
        let mut told = 0;
        loop {
            tokio::time::sleep(EVERY).await;
            let entries = self.entries();
            if entries.len() > told && self.upload(&entries).await.is_ok() {
                told = entries.len();
            }
        }
    }

    /// The whole day so far: each entry counts once, however often it comes.
    async fn upload(&self, entries: &[Entry]) -> Result<()> {
        let sent = self.http.post(&self.url).bearer_auth(&self.key).body(statement(entries));
        let status = sent.send().await.context("the gateway")?.status();
        ensure!(status.is_success(), "the gateway refused a statement: {status}");
        Ok(())
    }
}

/// A statement file as the bank's web page gives it.
fn statement(entries: &[Entry]) -> String {
    let offset = jiff::tz::Offset::constant(8);
    let now = jiff::Timestamp::from_microsecond(crate::clock::now().as_micros());
    let day = now.map_or_else(|_| String::new(), |t| offset.to_datetime(t).date().to_string());
    let mut text = "date,amount,id,payer,from,text\n".to_owned();
    for (nth, entry) in entries.iter().enumerate() {
        let (amount, written) = (&entry.amount_text, &entry.written);
        text += &format!("{day},{amount},B{nth},顾客{nth},62170000{nth:08},{written}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_says_what_the_payer_wrote_and_never_our_order_number() {
        let entry = Entry {
            number: "E1".to_owned(),
            amount_minor: 1_234,
            amount_text: "12.34".to_owned(),
            written: "EG7K2M9QX4".to_owned(),
        };
        let text = statement(&[entry]);
        let line = text.lines().nth(1).unwrap();
        assert!(line.ends_with(",12.34,B0,顾客0,6217000000000000,EG7K2M9QX4"), "{line}");
        assert!(!text.contains("E1,"), "{text}");
    }
}
