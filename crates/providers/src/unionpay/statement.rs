//! UnionPay's clearing file: request 76/01, an answer that carries a zip inside a deflate stream
//! inside Base64, and in it lines of fixed widths in GBK.
//!
//! `ZM` parts hold ordinary transactions, `ZME` parts what UnionPay or an issuer did by itself.
//! Widths count bytes, so lines are cut before they are decoded. A sign is a letter: `C` in
//! favour of the merchant, `D` against. The file has no sums of its own; each line's are checked.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{Currency, Timestamp};
use jiff::civil::Date;

use super::codec::UnionPay;
use super::message::{Fields, sign, split, text};
use super::table::is_success;
use crate::common::beijing_compact;
use crate::statement::{
    LineKind, LineMistake, MISTAKES_MAX, Original, Place, Statement, StatementError, StatementLine,
    Statements, UNPACKED_BYTES_MAX, bounded,
};
use crate::{Request, Response, Stamp};

/// Widths of a `ZM` line's fields but the last, which is reserved and 98 or 99 wide.
const ZM: [usize; 41] = [
    3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21,
    15, 1, 15, 32, 13, 13, 8, 32, 13, 13, 12, 2, 1, 32,
];
/// The same of a `ZME` line. The meaning of its fields follows that of `ZM` lines where the
/// widths agree; no document at hand names them.
const ZME: [usize; 21] =
    [3, 11, 11, 6, 10, 19, 12, 4, 2, 2, 6, 10, 4, 12, 13, 13, 15, 15, 1, 12, 2];

/// Parts that a file may have; real ones have a handful.
const PARTS_MAX: usize = 64;
/// The file was not found, in the code table of files.
const NO_FILE: &str = "98";

impl Statements for UnionPay {
    fn request(&self, day: Date, stamp: &Stamp) -> Request {
        let fields = [
            ("version", "5.1.0"),
            ("encoding", "UTF-8"),
            ("certId", &self.cert_id),
            ("signMethod", "01"),
            ("txnType", "76"),
            ("txnSubType", "01"),
            ("bizType", "000000"),
            ("accessType", "0"),
            ("merId", &self.mer_id),
            ("txnTime", &beijing_compact(stamp.now)),
            ("settleDate", &month_and_day(day)),
            ("fileType", "00"),
        ];
        let mut fields: Fields =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        sign(&mut fields, &self.key);
        self.form(self.file_url.clone(), &fields)
    }

    fn read(
        &self,
        day: Date,
        response: &Response,
        now: Timestamp,
    ) -> Result<Statement, StatementError> {
        let fields = self.prove_file(day, response, now)?;
        let file_name = text(&fields, "fileName").unwrap_or_default().to_owned();
        let content = text(&fields, "fileContent").unwrap_or_default();
        let file = unwrap(content).map_err(StatementError::Packed)?;
        let mut reading = Reading::new(day, &self.mer_id);
        reading.parts(&file)?;
        let Reading { lines, remarks, ignored, mistakes, .. } = reading;
        if !mistakes.is_empty() {
            return Err(StatementError::Lines(mistakes));
        }
        Ok(Statement { day, file_name, file, lines, remarks, ignored })
    }
}

impl UnionPay {
    /// The answer's fields, when they prove themselves and carry a file.
    fn prove_file(
        &self,
        day: Date,
        response: &Response,
        now: Timestamp,
    ) -> Result<Fields, StatementError> {
        if response.status != 200 {
            return Err(StatementError::Silent(format!("HTTP {}", response.status)));
        }
        let fields = split(&response.body)
            .ok_or_else(|| StatementError::Forged("it is no list of fields".to_owned()))?;
        let code = text(&fields, "respCode").unwrap_or_default();
        self.trust.prove(&fields, now).map_err(|why| StatementError::Forged(why.to_string()))?;
        if text(&fields, "merId") != Some(&self.mer_id) {
            return Err(StatementError::Other("account"));
        }
        match code {
            _ if is_success(code) => {}
            NO_FILE => return Err(StatementError::NotThere { day, code: code.to_owned() }),
            _ => return Err(StatementError::Refused(format!("UnionPay answered {code}"))),
        }
        match text(&fields, "settleDate") {
            Some(said) if said != month_and_day(day) => Err(StatementError::Other("day")),
            _ => Ok(fields),
        }
    }
}

/// `MMDD`: the year is not told, and is read from the names of the parts.
fn month_and_day(day: Date) -> String {
    day.strftime("%m%d").to_string()
}

/// The zip that a deflate stream in Base64 holds.
fn unwrap(content: &str) -> Result<Vec<u8>, String> {
    let packed = STANDARD.decode(content.trim()).map_err(|_| "it is no Base64".to_owned())?;
    bounded(flate2::read::ZlibDecoder::new(packed.as_slice()), UNPACKED_BYTES_MAX)
}

/// A file being read.
struct Reading<'a> {
    day: Date,
    mer_id: &'a str,
    lines: Vec<StatementLine>,
    remarks: Vec<LineMistake>,
    ignored: Vec<String>,
    mistakes: Vec<LineMistake>,
}

/// What a part of the file holds.
enum Part {
    Ordinary,
    Exceptions,
    Else,
}

impl<'a> Reading<'a> {
    fn new(day: Date, mer_id: &'a str) -> Reading<'a> {
        let (lines, remarks) = (Vec::new(), Vec::new());
        Reading { day, mer_id, lines, remarks, ignored: Vec::new(), mistakes: Vec::new() }
    }

    fn parts(&mut self, file: &[u8]) -> Result<(), StatementError> {
        let packed = |error: zip::result::ZipError| StatementError::Packed(error.to_string());
        let mut archive = zip::ZipArchive::new(Cursor::new(file)).map_err(packed)?;
        if archive.len() > PARTS_MAX {
            return Err(StatementError::Packed(format!("it has more than {PARTS_MAX} parts")));
        }
        let mut left = UNPACKED_BYTES_MAX;
        for index in 0..archive.len() {
            let entry = archive.by_index(index).map_err(packed)?;
            let name = entry.name().map_err(packed)?.into_owned();
            let part = self.part(&name)?;
            if matches!(part, Part::Else) {
                self.ignored.push(name);
                continue;
            }
            let text = bounded(entry, left).map_err(StatementError::Packed)?;
            left -= text.len() as u64;
            self.part_lines(&name, &text, &part);
        }
        Ok(())
    }

    /// What a part holds, by its name: `INN<yymmdd>ZM_<merId>`.
    fn part(&self, name: &str) -> Result<Part, StatementError> {
        let name = name.rsplit('/').next().unwrap_or(name);
        let Some((head, mer_id)) = name.split_once('_') else { return Ok(Part::Else) };
        let (date, part) = if let Some(date) = head.strip_suffix("ZME") {
            (date, Part::Exceptions)
        } else if let Some(date) = head.strip_suffix("ZM") {
            (date, Part::Ordinary)
        } else {
            return Ok(Part::Else);
        };
        let date = date.strip_prefix("INN").unwrap_or(date);
        if mer_id.split('.').next() != Some(self.mer_id) {
            return Err(StatementError::Other("account"));
        }
        if date != self.day.strftime("%y%m%d").to_string() {
            return Err(StatementError::Other("day"));
        }
        Ok(part)
    }

    fn part_lines(&mut self, name: &str, text: &[u8], part: &Part) {
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            if self.mistakes.len() >= MISTAKES_MAX {
                return;
            }
            let place = Place { part: name.to_owned(), line: index + 1 };
            let read = match part {
                Part::Ordinary => ordinary(line, self.day),
                _ => exception(line, self.day),
            };
            match read {
                Ok(line) => self.keep(StatementLine { place, ..line }),
                Err((field, rule)) => self.mistakes.push(LineMistake { place, field, rule }),
            }
        }
    }

    fn keep(&mut self, line: StatementLine) {
        let expected = match line.kind {
            LineKind::Payment => Some(line.amount_minor - line.fee_minor),
            LineKind::Refund => Some(-line.amount_minor - line.fee_minor),
            LineKind::Exception | LineKind::Other => None,
        };
        if expected.is_some_and(|net| net != line.net_minor) && self.remarks.len() < MISTAKES_MAX {
            let rule = "it is not the amount less the fee";
            let place = line.place.clone();
            self.remarks.push(LineMistake { place, field: "settlement amount", rule });
        }
        self.lines.push(line);
    }
}

/// The field, and the rule that it breaks.
type Broken = (&'static str, &'static str);

/// Fields of fixed widths with a space between them.
struct Cut<'l> {
    fields: Vec<&'l [u8]>,
}

impl<'l> Cut<'l> {
    fn new(line: &'l [u8], widths: &[usize]) -> Result<Cut<'l>, Broken> {
        let mut fields = Vec::with_capacity(widths.len());
        let mut at = 0;
        for width in widths {
            let field = line.get(at..at + width).ok_or(("line", "it is too short"))?;
            at += width;
            match line.get(at) {
                Some(b' ') | None => at += 1,
                Some(_) => return Err(("line", "a field is not ended by a space")),
            }
            fields.push(field);
        }
        Ok(Cut { fields })
    }

    /// A field by its number in the documents, from 1.
    fn text(&self, number: usize) -> String {
        let (text, _) = encoding_rs::GBK.decode_without_bom_handling(self.fields[number - 1]);
        text.trim().to_owned()
    }

    /// An id: letters and digits, or nothing.
    fn id(&self, number: usize, name: &'static str) -> Result<String, Broken> {
        let text = self.text(number);
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric());
        if plain { Ok(text) } else { Err((name, "it must be letters and digits")) }
    }

    /// An amount in fen: digits only.
    fn amount(&self, number: usize, name: &'static str) -> Result<i64, Broken> {
        digits(self.fields[number - 1]).ok_or((name, "it must be digits only, in fen"))
    }

    /// An amount with a letter in front: `C` counts for the merchant, `D` against.
    fn signed(&self, number: usize, name: &'static str) -> Result<i64, Broken> {
        let field = self.fields[number - 1];
        let wrong = (name, "it must be C or D and digits, in fen");
        let (sign, rest) = field.split_first().ok_or(wrong)?;
        let amount = digits(rest).ok_or(wrong)?;
        match sign {
            b'C' => Ok(amount),
            b'D' => Ok(-amount),
            _ => Err(wrong),
        }
    }
}

fn digits(field: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(field).ok()?.trim();
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

fn ordinary(line: &[u8], day: Date) -> Result<StatementLine, Broken> {
    let cut = Cut::new(line, &ZM)?;
    let kind = match cut.text(20).as_str() {
        "01" => LineKind::Payment,
        // A refund, an undo, and a reversal of a transaction of unknown result.
        "04" | "31" | "99" => LineKind::Refund,
        _ => LineKind::Other,
    };
    let number = cut.id(12, "orderId")?;
    if number.is_empty() && matches!(kind, LineKind::Payment | LineKind::Refund) {
        return Err(("orderId", "it must be there"));
    }
    let original = Original {
        number: cut.id(41, "original orderId")?,
        reference: cut.id(27, "original queryId")?,
    };
    Ok(StatementLine {
        place: nowhere(),
        kind,
        number,
        reference: cut.id(10, "queryId")?,
        currency: Currency::CNY,
        amount_minor: cut.amount(7, "amount")?,
        fee_minor: -cut.signed(16, "fee")?,
        net_minor: cut.signed(17, "settlement amount")?,
        settled_on: day,
        original: (kind != LineKind::Payment).then_some(original),
    })
}

fn exception(line: &[u8], day: Date) -> Result<StatementLine, Broken> {
    let cut = Cut::new(line, &ZME)?;
    // The original's trace number and time are all that names it.
    let original = format!("{}{}", cut.text(12), cut.text(11));
    Ok(StatementLine {
        place: nowhere(),
        kind: LineKind::Exception,
        number: String::new(),
        reference: format!("{}{}", cut.text(5), cut.text(4)),
        currency: Currency::CNY,
        amount_minor: cut.amount(7, "amount")?,
        fee_minor: -cut.signed(15, "fee")?,
        net_minor: cut.signed(16, "settlement amount")?,
        settled_on: day,
        original: Some(Original { number: String::new(), reference: original }),
    })
}

/// Filled in by the reader of the part.
fn nowhere() -> Place {
    Place { part: String::new(), line: 0 }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;
    use zip::write::SimpleFileOptions;

    use super::*;

    const MER: &str = "777290058110097";

    fn day() -> Date {
        Date::constant(2026, 11, 24)
    }

    /// A line with these fields set, by their numbers in the documents.
    fn line(widths: &[usize], tail: usize, set: &[(usize, &str)]) -> Vec<u8> {
        let mut line = Vec::new();
        for (index, width) in widths.iter().chain([&tail]).enumerate() {
            let text = set.iter().find(|(n, _)| *n == index + 1).map_or("", |(_, text)| text);
            let (bytes, ..) = encoding_rs::GBK.encode(text);
            line.extend_from_slice(&bytes);
            line.resize(line.len() + width - bytes.len(), b' ');
            line.push(b' ');
        }
        line.pop();
        line
    }

    const PAID: [(usize, &str); 7] = [
        (7, "000000001234"),
        (10, "202611241000000000018"),
        (12, "E01M86QAQ4FFFDR93A3Q1F8WSN201"),
        (16, "D000000000007"),
        (17, "C000000001227"),
        (20, "01"),
        // Chinese signs in front of later fields: two bytes each, so only bytes can be counted.
        (31, "上海某某茶叶商行"),
    ];

    fn changed(number: usize, text: &'static str) -> Vec<(usize, &'static str)> {
        let kept = PAID.into_iter().filter(|(n, _)| *n != number);
        kept.chain([(number, text)]).collect()
    }

    fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in parts {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn read(parts: &[(&str, &[u8])]) -> Result<Vec<StatementLine>, StatementError> {
        let mut reading = Reading::new(day(), MER);
        reading.parts(&zipped(parts))?;
        match reading.mistakes.is_empty() {
            true => Ok(reading.lines),
            false => Err(StatementError::Lines(reading.mistakes)),
        }
    }

    #[test]
    fn lines_are_cut_by_bytes_and_fees_and_settlements_keep_their_signs() {
        let refund = [
            (7, "000000000500"),
            (10, "202611241200000000028"),
            (12, "R01M86QAQ4FFFDR93A3Q1F8WSN201"),
            (16, "C000000000003"),
            (17, "D000000000497"),
            (20, "04"),
            (27, "202611241000000000018"),
            (31, "茶"),
            (41, "E01M86QAQ4FFFDR93A3Q1F8WSN201"),
        ];
        // Some files end a line with 99 reserved bytes, some with CR LF.
        let text = [line(&ZM, 98, &PAID), b"\n".to_vec(), line(&ZM, 99, &refund), b"\r\n".to_vec()];
        let exception = [
            (4, "000001"),
            (5, "1124100000"),
            (7, "000000001234"),
            (11, "000001"),
            (12, "1124"),
            (15, "C000000000007"),
            (16, "D000000001227"),
        ];
        let exceptions = line(&ZME, 135, &exception);
        let lines = read(&[
            ("INN261124ZM_777290058110097", &text.concat()),
            ("INN261124ZME_777290058110097", &exceptions),
            ("INN261124ZMSUM.txt", b"anything"),
        ])
        .unwrap();
        let [paid, back, odd] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!((paid.kind, paid.amount_minor), (LineKind::Payment, 1_234));
        assert_eq!((paid.fee_minor, paid.net_minor, &paid.original), (7, 1_227, &None));
        assert_eq!(paid.number, "E01M86QAQ4FFFDR93A3Q1F8WSN201");
        assert_eq!((back.kind, back.fee_minor, back.net_minor), (LineKind::Refund, -3, -497));
        let original = back.original.as_ref().unwrap();
        assert_eq!(
            (original.number.as_str(), original.reference.as_str()),
            ("E01M86QAQ4FFFDR93A3Q1F8WSN201", "202611241000000000018")
        );
        assert_eq!(back.place, Place { part: "INN261124ZM_777290058110097".into(), line: 2 });
        assert_eq!((odd.kind, odd.net_minor), (LineKind::Exception, -1_227));
    }

    #[test]
    fn every_mistake_names_its_line_and_field() {
        let short = line(&ZM, 98, &PAID)[..200].to_vec();
        let mut shifted = line(&ZM, 98, &PAID);
        shifted.insert(3, b'x');
        let text = [
            line(&ZM, 98, &changed(7, "00000000123x")),
            line(&ZM, 98, &changed(16, "X000000000007")),
            line(&ZM, 98, &changed(12, "")),
            line(&ZM, 98, &changed(10, "2026-1124")),
            short,
            shifted,
        ]
        .join(&b'\n');
        let error = read(&[("INN261124ZM_777290058110097", &text)]).unwrap_err();
        let StatementError::Lines(found) = error else { panic!("{error:?}") };
        let told: Vec<_> = found.iter().map(|m| (m.place.line, m.field)).collect();
        let wanted =
            [(1, "amount"), (2, "fee"), (3, "orderId"), (4, "queryId"), (5, "line"), (6, "line")];
        assert_eq!(told, wanted);
        let text = [&b"xxx"[..]; 100].join(&b'\n');
        let error = read(&[("INN261124ZM_777290058110097", &text)]).unwrap_err();
        let StatementError::Lines(found) = error else { panic!("{error:?}") };
        assert_eq!(found.len(), MISTAKES_MAX);
    }

    #[test]
    fn a_file_of_another_day_or_account_is_not_taken() {
        let text = line(&ZM, 98, &PAID);
        for (name, what) in
            [("INN251124ZM_777290058110097", "day"), ("INN261124ZM_777290058110098", "account")]
        {
            assert_eq!(read(&[(name, &text)]).unwrap_err(), StatementError::Other(what));
        }
    }

    #[test]
    fn what_unpacks_without_end_or_not_at_all_is_refused() {
        for content in ["", "%%%", &STANDARD.encode("no deflate stream")] {
            assert!(unwrap(content).is_err(), "{content}");
        }
        let no_zip = Reading::new(day(), MER).parts(b"no zip").unwrap_err();
        assert!(matches!(no_zip, StatementError::Packed(_)));
        let names: Vec<String> = (0..=PARTS_MAX).map(|n| format!("part{n}")).collect();
        let parts: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), &b"x"[..])).collect();
        assert!(matches!(read(&parts), Err(StatementError::Packed(_))));
    }

    proptest! {
        #[test]
        fn nothing_panics_the_reader(bytes: Vec<u8>) {
            let _ = ordinary(&bytes, day());
            let _ = exception(&bytes, day());
            let _ = Reading::new(day(), MER).parts(&bytes);
        }
    }
}
