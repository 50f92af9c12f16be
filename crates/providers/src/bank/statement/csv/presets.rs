//! Columns as they are commonly seen, to begin from.
//!
//! Titles differ between banks, and between the products of one bank: these are no bank's
//! official format, and each has to be checked against a file of one's own.

use domain::Currency;

use super::super::{Column, Columns, CsvFormat, Encoding};

/// The names that [`CsvFormat::preset`] takes.
pub const PRESETS: &[&str] = &[
    "cn-debit-credit",
    "cn-direction",
    "cn-signed",
    "en-signed",
    "en-debit-credit",
    "eu-semicolon",
];

/// The settings behind a name.
pub(super) fn preset(name: &str) -> Option<CsvFormat> {
    match name {
        "cn-debit-credit" => Some(chinese(Columns {
            debit: any(&["借方发生额", "借方金额", "支出金额", "支出", "转出金额"]),
            credit: any(&["贷方发生额", "贷方金额", "收入金额", "收入", "转入金额"]),
            ..chinese_columns()
        })),
        "cn-direction" => Some(chinese(Columns {
            amount: any(&["交易金额", "发生额", "金额"]),
            direction: any(&["借贷标志", "借贷方向", "借贷", "收支标志", "收/支", "交易方向"]),
            ..chinese_columns()
        })),
        "cn-signed" => Some(chinese(Columns {
            amount: any(&["交易金额", "发生额", "金额"]),
            ..chinese_columns()
        })),
        "en-signed" => Some(CsvFormat {
            columns: Columns { amount: any(&["Amount"]), ..english_columns() },
            ..CsvFormat::default()
        }),
        "en-debit-credit" => Some(CsvFormat {
            columns: Columns {
                debit: any(&["Debit", "Debit Amount", "Withdrawal", "Paid out"]),
                credit: any(&["Credit", "Credit Amount", "Deposit", "Paid in"]),
                ..english_columns()
            },
            ..CsvFormat::default()
        }),
        "eu-semicolon" => Some(CsvFormat {
            delimiter: Some(';'),
            decimal: Some(','),
            dates: Some(list(&["%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%Y-%m-%d"])),
            columns: Columns { amount: any(&["Amount", "Betrag"]), ..european_columns() },
            ..CsvFormat::default()
        }),
        _ => None,
    }
}

fn list(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|t| (*t).to_owned()).collect()
}

fn any(titles: &[&str]) -> Option<Column> {
    Some(Column::Titles(list(titles)))
}

fn chinese(columns: Columns) -> CsvFormat {
    CsvFormat {
        encoding: Some(Encoding::Gb18030),
        currency: Some(Currency::CNY),
        footers: Some(list(&["合计", "总计", "小计", "总笔数"])),
        dates: Some(list(&[
            "%Y-%m-%d",
            "%Y%m%d",
            "%Y/%m/%d",
            "%Y年%m月%d日",
            "%Y-%m-%d %H:%M:%S",
            "%Y/%m/%d %H:%M:%S",
            "%Y%m%d %H:%M:%S",
            "%Y%m%d%H%M%S",
        ])),
        columns,
        ..CsvFormat::default()
    }
}

fn chinese_columns() -> Columns {
    Columns {
        booked_on: any(&["交易日期", "记账日期", "入账日期", "交易时间", "日期"]),
        value_on: any(&["起息日", "起息日期"]),
        balance: any(&["余额", "账户余额", "本次余额"]),
        currency: None,
        account: any(&["账号", "本方账号", "查询账号"]),
        bank_reference: any(&["交易流水号", "流水号", "核心流水号", "凭证号"]),
        counterparty_name: any(&["对方户名", "对方账户名称", "对方名称", "对方单位名称"]),
        counterparty_account: any(&["对方账号", "对方账户", "对方卡号"]),
        virtual_account: any(&["虚拟账号", "虚拟子账号"]),
        text: ["摘要", "附言", "用途", "备注"].into_iter().map(title).collect(),
        ..Columns::default()
    }
}

fn title(text: &str) -> Column {
    Column::Title(text.to_owned())
}

fn english_columns() -> Columns {
    Columns {
        booked_on: any(&["Date", "Booking Date", "Transaction Date", "Posting Date"]),
        value_on: any(&["Value Date"]),
        balance: any(&["Balance", "Running Balance"]),
        currency: any(&["Currency"]),
        account: any(&["Account", "Account Number"]),
        bank_reference: any(&["Transaction ID", "Bank Reference", "Reference Number"]),
        counterparty_name: any(&["Name", "Counterparty", "Payee"]),
        counterparty_account: any(&["Counterparty Account", "IBAN"]),
        text: ["Description", "Reference", "Details", "Memo"].into_iter().map(title).collect(),
        ..Columns::default()
    }
}

fn european_columns() -> Columns {
    Columns {
        booked_on: any(&["Booking Date", "Date", "Buchungstag"]),
        value_on: any(&["Value Date", "Valuta"]),
        balance: any(&["Balance", "Saldo"]),
        currency: any(&["Currency", "Währung"]),
        bank_reference: any(&["Bank Reference", "Bankreferenz"]),
        counterparty_name: any(&["Name", "Auftraggeber", "Zahlungsbeteiligter"]),
        counterparty_account: any(&["IBAN", "Kontonummer"]),
        text: ["Description", "Reference", "Verwendungszweck"].into_iter().map(title).collect(),
        ..Columns::default()
    }
}
