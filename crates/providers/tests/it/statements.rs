//! Statement files, good and bad. All names, accounts and amounts are invented.

use insta::assert_json_snapshot;
use proptest::prelude::*;
use providers::bank::Reference;
use providers::bank::statement::{
    Column, Columns, CsvFormat, Direction, Encoding, Entry, Format, LineMistake, PRESETS,
    Statement, Words, read,
};

const GBK: &[u8] = include_bytes!("fixtures/bank/debit-credit.gbk.csv");
const DIRECTION: &[u8] = include_bytes!("fixtures/bank/direction.csv");
const SIGNED: &[u8] = include_bytes!("fixtures/bank/signed.csv");
const SEMICOLON: &[u8] = include_bytes!("fixtures/bank/semicolon.csv");
const NUMBERED: &[u8] = include_bytes!("fixtures/bank/numbered.txt");
const CAMT_02: &[u8] = include_bytes!("fixtures/bank/camt.053.02.xml");
const CAMT_08: &[u8] = include_bytes!("fixtures/bank/camt.053.08.xml");
const PAGES: &[u8] = include_bytes!("fixtures/bank/page.mt940");
const SWIFT: &[u8] = include_bytes!("fixtures/bank/swift.mt940");

fn preset(name: &str) -> CsvFormat {
    CsvFormat { preset: Some(name.into()), ..CsvFormat::default() }
}

fn csv(format: CsvFormat) -> Format {
    Format::Csv(Box::new(format))
}

fn camt() -> Format {
    Format::Camt053(Default::default())
}

fn mt940() -> Format {
    Format::Mt940(Default::default())
}

fn numbered() -> CsvFormat {
    let column = |n| Some(Column::Number(n));
    CsvFormat {
        header: Some(false),
        delimiter: Some('|'),
        account: Some("42".into()),
        currency: Some(domain::Currency::CNY),
        columns: Columns {
            booked_on: column(1),
            direction: column(2),
            amount: column(3),
            bank_reference: column(4),
            counterparty_name: column(5),
            text: vec![Column::Number(6)],
            ..Columns::default()
        },
        ..CsvFormat::default()
    }
}

fn direction() -> CsvFormat {
    CsvFormat { encoding: Some(Encoding::Utf8), ..preset("cn-direction") }
}

fn fixtures() -> Vec<(&'static str, &'static [u8], Format)> {
    vec![
        ("csv_debit_credit", GBK, csv(preset("cn-debit-credit"))),
        ("csv_direction", DIRECTION, csv(direction())),
        ("csv_signed", SIGNED, csv(preset("en-signed"))),
        ("csv_semicolon", SEMICOLON, csv(preset("eu-semicolon"))),
        ("csv_numbered", NUMBERED, csv(numbered())),
        ("camt_02", CAMT_02, camt()),
        ("camt_08", CAMT_08, camt()),
        ("mt940_pages", PAGES, mt940()),
        ("mt940_swift", SWIFT, mt940()),
    ]
}

fn good(bytes: &[u8], format: &Format) -> Vec<Statement> {
    read(bytes, format).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

fn entries(bytes: &[u8], format: &Format) -> Vec<(String, Entry)> {
    let statements = good(bytes, format);
    let of = |s: Statement| s.entries.into_iter().map(move |e| (s.account.clone(), e));
    statements.into_iter().flat_map(of).collect()
}

fn identities(bytes: &[u8], format: &Format) -> Vec<String> {
    entries(bytes, format).iter().map(|(account, entry)| entry.identity(account)).collect()
}

fn sorted(mut identities: Vec<String>) -> Vec<String> {
    identities.sort();
    identities
}

#[test]
fn every_fixture_is_read_as_it_was() {
    for (name, bytes, format) in fixtures() {
        assert_json_snapshot!(name, good(bytes, &format));
    }
}

#[test]
fn references_are_found_in_what_banks_make_of_them() {
    let first: Reference = "SMUP-X5JE-KM3Z".parse().unwrap();
    for (name, bytes, format) in fixtures() {
        let found = entries(bytes, &format)
            .iter()
            .any(|(_, e)| Reference::find(&e.text).contains(&first) && e.amount.minor() > 0);
        assert!(found || name == "mt940_swift", "{name}");
    }
}

#[test]
fn no_two_entries_of_a_file_are_the_same() {
    for (name, bytes, format) in fixtures() {
        let mut all = sorted(identities(bytes, &format));
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count, "{name}");
        assert_eq!(all, sorted(identities(bytes, &format)), "the same file gives the same keys");
    }
}

fn lines(rows: &[&str]) -> Vec<u8> {
    format!("日期,金额,流水号,对方户名,摘要\n{}\n", rows.join("\n")).into_bytes()
}

fn signed() -> Format {
    csv(CsvFormat { encoding: Some(Encoding::Utf8), ..preset("cn-signed") })
}

#[test]
fn the_order_of_lines_and_the_rest_of_the_file_do_not_change_an_identity() {
    let rows = [
        "2026-11-24,100.00,,王五,a",
        "2026-11-24,100.00,,王五,a",
        "2026-11-24,100.00,,赵六,b",
        "2026-11-24,100.00,T9,王五,a",
        "2026-11-23,100.00,,王五,a",
    ];
    let all = sorted(identities(&lines(&rows), &signed()));
    let turned: Vec<&str> = rows.iter().rev().copied().collect();
    assert_eq!(all, sorted(identities(&lines(&turned), &signed())));
    let overlapping = identities(&lines(&rows[1..4]), &signed());
    assert!(overlapping.iter().all(|identity| all.contains(identity)), "nothing twice");
    let longer = [&rows[..], &["2026-11-24,100.00,,王五,a"]].concat();
    let longer = identities(&lines(&longer), &signed());
    assert_eq!(longer.iter().filter(|identity| !all.contains(identity)).count(), 1);
}

#[test]
fn an_entry_with_the_banks_reference_may_be_described_otherwise() {
    let known = identities(&lines(&["2026-11-24,100.00,T9,王五,a"]), &signed());
    assert_eq!(known, identities(&lines(&["2026-11-24,100.00,T9,,other words"]), &signed()));
    assert_ne!(known, identities(&lines(&["2026-11-24,100.01,T9,王五,a"]), &signed()));
    let placeholder =
        |who: &str| identities(&lines(&[&format!("2026-11-24,1,NONREF,{who},a")]), &signed());
    assert_ne!(placeholder("王五"), placeholder("赵六"), "a placeholder is no reference");
}

#[test]
fn a_statement_that_stands_in_a_file_twice_gives_nothing_new() {
    let once = identities(PAGES, &mt940());
    let twice = identities(&[PAGES, PAGES].concat(), &mt940());
    assert_eq!(twice, [once.clone(), once].concat());
}

fn mistakes(bytes: &[u8], format: &Format) -> Vec<LineMistake> {
    read(bytes, format).expect_err("the file has mistakes")
}

fn told(bytes: &[u8], format: &Format) -> String {
    mistakes(bytes, format).iter().map(|m| format!("{m}\n")).collect()
}

#[test]
fn all_mistakes_of_a_csv_file_are_told_with_their_lines() {
    let file = "交易时间,收/支,金额,余额,对方名称,备注,流水号\n\
                2026-13-01,收入,1.00,1.00,a,b,T1\n\
                2026-11-24,收,1.00,2.00,a,b,T2\n\
                2026-11-24,看,1.00,3.00,a,b,T3\n\
                2026-11-24,收入,1.0.0,4.00,a,b,T4\n\
                ,收入,1.00,4.00,a,b,T5\n\
                2026-11-24,收入,\"12,34\",x,a,b,T6\n";
    insta::assert_snapshot!("csv_mistakes", told(file.as_bytes(), &csv(direction())));
}

#[test]
fn balances_that_do_not_follow_are_told() {
    let file = "日期,金额,余额,摘要\n2026-11-23,1.00,1.00,a\n2026-11-24,1.00,3.00,b\n";
    let told = told(file.as_bytes(), &signed());
    assert!(told.contains("line 3: balance") && told.contains("1.00 differ"), "{told}");
    let file = format!("{file}2026-99-01,1.00,4.00,c\n");
    let lines: Vec<u32> = mistakes(file.as_bytes(), &signed()).iter().map(|m| m.line).collect();
    assert_eq!(lines, [3, 4], "in the order of the file");
}

#[test]
fn a_file_of_another_format_says_so() {
    for (name, bytes, format) in fixtures() {
        for (other, _, wrong) in fixtures() {
            if std::mem::discriminant(&format) != std::mem::discriminant(&wrong) {
                assert!(read(bytes, &wrong).is_err(), "{name} as {other}");
            }
        }
    }
    let told =
        told(GBK, &csv(CsvFormat { encoding: Some(Encoding::Utf8), ..preset("cn-debit-credit") }));
    assert!(told.contains("line 1: encoding"), "{told}");
    let told = self::told(SIGNED, &csv(preset("cn-debit-credit")));
    assert!(told.contains("columns.credit") && told.contains("`贷方发生额`"), "{told}");
}

fn changed(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(bytes.to_vec()).expect("a fixture is UTF-8");
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1).into_bytes()
}

#[test]
fn balances_that_do_not_agree_with_the_entries_are_told() {
    for (bytes, format, from, to, difference) in [
        (CAMT_02, camt(), "1280.00", "1280.01", "-0.01 differ"),
        (CAMT_02, camt(), ">50.00<", ">50.10<", "0.10 differ"),
        (PAGES, mt940(), "D35,5", "D35,6", "0.10 differ"),
        (PAGES, mt940(), ":60M:C270102EUR2244,50", ":60M:C270102EUR2244,40", "-0.10 differ"),
    ] {
        let told = told(&changed(bytes, from, to), &format);
        assert!(told.contains(difference), "{from}: {told}");
    }
}

#[test]
fn files_that_are_cut_off_or_forged_are_refused() {
    let bomb =
        "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><Document><Stmt/></Document>";
    let deep = format!("<Stmt>{}", "<a>".repeat(100_000));
    let entity = changed(CAMT_02, "&amp;", "&file;");
    let no_status = changed(CAMT_02, "<Sts>BOOK</Sts>", "");
    for (bytes, format, rule) in [
        (&CAMT_02[..1_900], camt(), "cut off"),
        (bomb.as_bytes(), camt(), "document type"),
        (deep.as_bytes(), camt(), "nested deeper"),
        (&entity, camt(), "entity"),
        (&no_status, camt(), "BOOK"),
        (b"<Document/>", camt(), "no statement"),
        (&SWIFT[..250], mt940(), ":62F:"),
        (&PAGES[..200], mt940(), ":62F:"),
        (b"", mt940(), "no statement"),
    ] {
        let told = told(bytes, &format);
        assert!(told.contains(rule), "{rule}: {told}");
    }
    let broken = mistakes(&changed(CAMT_02, ">150.00<", ">1,50<"), &camt());
    assert!(broken.iter().any(|m| (m.line, m.field.as_str()) == (25, "Ntry/Amt")), "{broken:?}");
}

#[test]
fn a_quotation_mark_that_is_never_closed_is_noticed() {
    let row = "2026-11-24,1.00,T,\"a,b\n";
    let file =
        format!("日期,金额,流水号,对方户名,摘要\n{row}{}", "2026-11-24,1.00,T,a,b\n".repeat(300));
    assert!(told(file.as_bytes(), &signed()).contains("not closed"));
}

#[test]
fn a_batch_is_split_only_when_its_details_say_how() {
    let plain =
        changed(CAMT_02, "<AmtDtls><TxAmt><Amt Ccy=\"EUR\">50.00</Amt></TxAmt></AmtDtls>", "");
    let found = entries(&plain, &camt());
    assert_eq!(found[1].1.amount.minor(), 15_000, "it stays whole");
    assert!(found[1].1.text.contains("DZS8JQARB69K") && found[1].1.text.contains("without"));
    let split = entries(CAMT_02, &camt());
    assert_eq!(split[1].1.bank_reference.as_deref(), Some("2026112400002#1"));
    assert_eq!(split[2].1.bank_reference.as_deref(), Some("2026112400002#2"));
}

#[test]
fn a_minus_takes_an_entry_back_where_the_column_says_the_way() {
    let file = "日期,借方金额,贷方金额,摘要\n2026-11-24,,-5.00,a\n2026-11-24,-7.00,,b\n";
    let format = CsvFormat { encoding: Some(Encoding::Utf8), ..preset("cn-debit-credit") };
    let found = entries(file.as_bytes(), &csv(format));
    let ways: Vec<_> = found.iter().map(|(_, e)| (e.direction, e.reversal)).collect();
    assert_eq!(ways, [(Direction::Debit, true), (Direction::Credit, true)]);
}

#[test]
fn settings_that_cannot_work_say_which_and_why() {
    let columns = |columns| CsvFormat {
        columns,
        currency: Some(domain::Currency::CNY),
        ..CsvFormat::default()
    };
    let title = |t: &str| Some(Column::Title(t.into()));
    let day = || Columns { booked_on: title("d"), amount: title("a"), ..Columns::default() };
    for (format, field) in [
        (CsvFormat::default(), "columns.booked_on"),
        (CsvFormat { preset: Some("x".into()), ..columns(day()) }, "preset"),
        (CsvFormat { currency: None, ..columns(day()) }, "currency"),
        (columns(Columns { amount: None, credit: title("c"), ..day() }), "columns.amount"),
        (columns(Columns { credit: title("c"), ..day() }), "columns.amount"),
        (columns(Columns { amount: Some(Column::Number(0)), ..day() }), "columns.amount"),
        (columns(Columns { amount: title(" "), ..day() }), "columns.amount"),
        (CsvFormat { header: Some(false), ..columns(day()) }, "columns.booked_on"),
        (CsvFormat { delimiter: Some('，'), ..columns(day()) }, "delimiter"),
        (CsvFormat { quote: Some(','), ..columns(day()) }, "quote"),
        (CsvFormat { decimal: Some(';'), ..columns(day()) }, "decimal"),
        (CsvFormat { thousands: Some('.'), ..columns(day()) }, "thousands"),
        (CsvFormat { dates: Some(vec![]), ..columns(day()) }, "dates"),
        (CsvFormat { dates: Some(vec!["%H:%M".into()]), ..columns(day()) }, "dates"),
        (CsvFormat { dates: Some(vec!["%Q-%é".into()]), ..columns(day()) }, "dates"),
        (CsvFormat { skip_lines: Some(9_999), ..columns(day()) }, "skip_lines"),
        (CsvFormat { footers: Some(vec!["".into()]), ..columns(day()) }, "footers"),
        (
            CsvFormat {
                words: Some(Words { debit: vec!["CR".into()], ..Words::default() }),
                ..columns(day())
            },
            "words",
        ),
    ] {
        let found = csv(format.clone()).check();
        assert!(found.iter().any(|m| m.field == field), "{field}: {found:?}");
        assert!(!mistakes(b"x", &csv(format)).is_empty());
    }
    assert_eq!(csv(columns(day())).check(), []);
    for name in PRESETS {
        let euro = CsvFormat { currency: Some(domain::Currency::CNY), ..preset(name) };
        assert_eq!(csv(euro).check(), [], "{name}");
    }
}

fn any_format() -> impl Strategy<Value = Format> {
    (0..fixtures().len()).prop_map(|i| fixtures().swap_remove(i).2)
}

/// A fixture with some bytes changed, dropped or repeated, cut anywhere.
fn mutated() -> impl Strategy<Value = (Vec<u8>, Format)> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..12);
    (0..fixtures().len(), edits).prop_map(|(i, edits)| {
        let (_, bytes, format) = fixtures().swap_remove(i);
        let mut bytes = bytes.to_vec();
        for (at, byte, how) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(bytes.len() / 2)),
            }
        }
        (bytes, format)
    })
}

proptest! {
    #[test]
    fn no_bytes_panic_a_reader(bytes: Vec<u8>, format in any_format()) {
        let _ = read(&bytes, &format);
    }

    #[test]
    fn no_change_of_a_file_panics_a_reader((bytes, format) in mutated()) {
        match read(&bytes, &format) {
            Ok(statements) => {
                for (account, entry) in statements.iter().flat_map(|s| s.entries.iter().map(|e| (&s.account, e))) {
                    prop_assert!(entry.amount.minor() > 0);
                    prop_assert_eq!(entry.identity(account).len(), 32);
                }
            }
            Err(mistakes) => prop_assert!(!mistakes.is_empty() && mistakes.len() <= 200),
        }
    }

    #[test]
    fn what_two_balances_enclose_adds_up((bytes, format) in mutated()) {
        for statement in read(&bytes, &format).unwrap_or_default() {
            if let (Some(opening), Some(closing)) = (statement.opening_minor, statement.closing_minor) {
                let moved: i64 =
                    statement.entries.iter().map(|e| e.direction.sign() * e.amount.minor()).sum();
                prop_assert_eq!(opening + moved, closing);
            }
        }
    }
}

/// A fenced block in the language, from the text on; and the rest.
fn block<'t>(text: &'t str, language: &str) -> Option<(&'t str, &'t str)> {
    let (_, rest) = text.split_once(&format!("```{language}\n"))?;
    rest.split_once("```")
}

/// An entry as the handbook writes it.
fn spoken(entry: &Entry) -> String {
    let way = if entry.direction == Direction::Credit { "+" } else { "-" };
    let reversal = if entry.reversal { " reversal" } else { "" };
    let references = Reference::find(&entry.text);
    let named: String = references.iter().map(|r| format!(" {r}")).collect();
    format!("{} {way}{}{reversal}{named}\n", entry.booked_on, entry.amount)
}

#[test]
fn the_formats_of_the_handbook_read_its_files() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for (name, heading) in
        [("handbook.md", "## Statement files\n"), ("handbook.zh-CN.md", "## 对账单文件\n")]
    {
        let handbook = std::fs::read_to_string(docs.join(name)).unwrap();
        let (_, section) = handbook.split_once(heading).expect("the section is there");
        let mut rest = section.split_once("\n## ").map_or(section, |(section, _)| section);
        let mut examples = 0;
        while let Some((settings, after)) = block(rest, "toml") {
            let (file, after) = block(after, "csv").expect("a file follows the settings");
            let (result, after) = block(after, "text").expect("its entries follow the file");
            let settings: Settings = toml::from_str(settings).expect("the settings are read");
            let [format] = &settings.channels.statements[..] else { panic!("one format each") };
            assert_eq!(format.check(), []);
            let found: String =
                entries(file.as_bytes(), format).iter().map(|(_, entry)| spoken(entry)).collect();
            assert_eq!(found, result, "{name}: {file}");
            examples += 1;
            rest = after;
        }
        assert_eq!(examples, 4, "{name}");
    }
}

#[derive(serde::Deserialize)]
struct Settings {
    channels: Channel,
}

#[derive(serde::Deserialize)]
struct Channel {
    statements: Vec<Format>,
}

#[test]
fn a_field_that_no_format_has_is_a_mistake() {
    for wrong in [
        "type = \"csv\"\nseparator = \";\"",
        "type = \"csv\"\n[columns]\nday = 1",
        "type = \"csv\"\n[columns]\namount = -1",
        "type = \"camt053\"\nversion = 8",
        "type = \"mt940\"\nencoding = \"ebcdic\"",
        "type = \"ofx\"",
    ] {
        assert!(toml::from_str::<Format>(wrong).is_err(), "{wrong}");
    }
    let right = "type = \"csv\"\npreset = \"cn-signed\"\n[columns]\ntext = [\"附言\", 7]";
    assert_eq!(toml::from_str::<Format>(right).unwrap().check(), []);
}
