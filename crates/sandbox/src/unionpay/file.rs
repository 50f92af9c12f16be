//! Clearing files: the day's transactions as fixed-width lines in GBK, packed as the platform
//! packs them.
//!
//! The platform makes a day's file on the morning after; here a day can be asked for as soon as
//! it has begun, and then holds what was settled so far.

use std::io::{Cursor, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use zip::write::SimpleFileOptions;

use super::UnionPayAccount;
use super::codes::Failure;
use super::message::{Fields, trace_time};
use crate::books::Millis;
use crate::books::unionpay::{ClearingDay, ReturnKind, Settled, SettledKind, TxnError};
use crate::control::lock;

/// Widths of the fields of a line, in bytes.
const WIDTHS: [usize; 42] = [
    3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21,
    15, 1, 15, 32, 13, 13, 8, 32, 13, 13, 12, 2, 1, 32, 98,
];
/// What the platform keeps of a payment, in thousandths; it is given back with a refund.
const FEE_PER_MILLE: i64 = 6;

/// The file of a day; with `wrong`, its first line states a fen too much.
pub(crate) fn fetch(
    account: &UnionPayAccount,
    fields: &Fields,
    wrong: bool,
    now: Millis,
) -> Result<Fields, Failure> {
    let get = |name: &str| fields.get(name).map(String::as_str);
    for (name, value) in
        [("txnType", "76"), ("txnSubType", "01"), ("bizType", "000000"), ("fileType", "00")]
    {
        if get(name) != Some(value) {
            return Err(Failure::format(name));
        }
    }
    let asked = get("settleDate").ok_or_else(|| Failure::missing("settleDate"))?;
    if asked.len() != 4 || !asked.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Failure::format("settleDate"));
    }
    let day = ClearingDay::named(asked, now).ok_or(TxnError::NoFile)?;
    let settled = lock(&account.book).settled(day, now);
    let Some(first) = settled.first() else { return Err(TxnError::NoFile.into()) };
    let mut text: Vec<u8> = settled.iter().flat_map(|each| line(account, each)).collect();
    if wrong {
        spoil(&mut text, first.amount + 1);
    }
    let date = day.date();
    let part = format!("INN{}ZM_{}", &date[2..], account.mer_id);
    let content = pack(&part, &text).map_err(|_| Failure::named("99"))?;
    let mut answer: Fields = [
        ("version", "5.1.0"),
        ("encoding", "UTF-8"),
        ("signMethod", "01"),
        ("txnType", "76"),
        ("txnSubType", "01"),
        ("bizType", "000000"),
        ("accessType", "0"),
        ("merId", &account.mer_id),
        ("settleDate", asked),
        ("fileType", "00"),
        ("fileContent", &content),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into_iter()
    .collect();
    answer.insert("txnTime".to_owned(), get("txnTime").unwrap_or_default().to_owned());
    answer.insert("fileName".to_owned(), format!("{}_{date}.zip", account.mer_id));
    Ok(answer)
}

/// Writes another amount, the seventh field, into the first line; fee and settlement stay.
fn spoil(text: &mut [u8], amount: i64) {
    let at: usize = WIDTHS[..6].iter().map(|width| width + 1).sum();
    text[at..at + 12].copy_from_slice(format!("{amount:012}").as_bytes());
}

fn line(account: &UnionPayAccount, settled: &Settled) -> Vec<u8> {
    let fee = (settled.amount * FEE_PER_MILLE + 500) / 1_000;
    let (code, kind, fee_sign, sign) = match settled.kind {
        SettledKind::Payment => ("S22", "01", 'D', 'C'),
        SettledKind::Return(ReturnKind::Refund) => ("S30", "04", 'C', 'D'),
        SettledKind::Return(ReturnKind::Undo) => ("S37", "31", 'C', 'D'),
    };
    let sub = if settled.kind == SettledKind::Payment { "01" } else { "00" };
    let debit = settled.original.as_ref().and_then(|payment| payment.debit.as_ref());
    let owned = |text: &str| text.to_owned();
    let set = [
        (1, owned(code)),
        (2, owned("00001000")),
        (3, owned("00001000")),
        (4, settled.trace_no.clone()),
        (5, trace_time(settled.at)),
        (6, owned("6226********0065")),
        (7, format!("{:012}", settled.amount)),
        (8, owned("5399")),
        (9, owned("07")),
        (10, settled.query_id.clone()),
        (12, settled.name.0.clone()),
        (13, owned("01")),
        (14, debit.map(|debit| debit.trace_no.clone()).unwrap_or_default()),
        (15, debit.map(|debit| trace_time(debit.at)).unwrap_or_default()),
        (16, format!("{fee_sign}{fee:012}")),
        (17, format!("{sign}{:012}", settled.amount - fee)),
        (20, owned(kind)),
        (21, owned(sub)),
        (22, owned("000201")),
        (27, debit.map(|debit| debit.query_id.clone()).unwrap_or_default()),
        (28, account.mer_id.clone()),
        (31, owned("沙箱商户")),
        (33, format!("{sign}{:012}", settled.amount - fee)),
        (41, settled.original.as_ref().map(|p| p.spec.name.0.clone()).unwrap_or_default()),
    ];
    let mut line = Vec::new();
    for (index, width) in WIDTHS.iter().enumerate() {
        let value = set.iter().find(|(number, _)| *number == index + 1);
        let text = value.map(|(_, text)| text.as_str()).unwrap_or_default();
        let (bytes, ..) = encoding_rs::GBK.encode(text);
        let kept = &bytes[..bytes.len().min(*width)];
        line.extend_from_slice(kept);
        line.resize(line.len() + width - kept.len(), b' ');
        line.push(if index + 1 == WIDTHS.len() { b'\n' } else { b' ' });
    }
    line
}

/// Zip, deflate, Base64.
fn pack(part: &str, text: &[u8]) -> std::io::Result<String> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    for (name, content) in [(part, text), ("readme.txt", b"sandbox".as_slice())] {
        zip.start_file(name, options).map_err(std::io::Error::other)?;
        zip.write_all(content)?;
    }
    let zip = zip.finish().map_err(std::io::Error::other)?.into_inner();
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::default());
    deflate.write_all(&zip)?;
    Ok(STANDARD.encode(deflate.finish()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_the_latest_with_its_name() {
        // 2026-11-24 22:59:59 and 23:00:00 in Beijing.
        let change = 1_795_532_400_000;
        let named = |mmdd, now| ClearingDay::named(mmdd, now).map(ClearingDay::date);
        assert_eq!(named("1124", change - 1), Some("20261124".to_owned()));
        assert_eq!(named("1125", change - 1), Some("20251125".to_owned()), "not begun this year");
        assert_eq!(named("1125", change), Some("20261125".to_owned()));
        assert_eq!(named("1126", change), Some("20251126".to_owned()), "a year ago");
        assert_eq!(named("1399", change), None);
    }
}
