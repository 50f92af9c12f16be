//! What a demo ends with: figures, and the same in words.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table};
use owo_colors::{OwoColorize, Style};
use serde::Serialize;

use super::books::{Comparison, Totals};
use super::story::Happened;
use super::width::{SCREEN, clip, columns, hang, pad};
use crate::lang::Lang;

/// The figures. As JSON this is what `evergate demo --json` prints; names are only ever added.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version of Evergate.
    pub version: &'static str,
    /// Decides everything.
    pub seed: u64,
    /// New payments a second, on average.
    pub rate: f64,
    /// How long shoppers came.
    pub duration_s: f64,
    /// What was broken.
    pub scenario: String,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// Figures of the gateway's own books.
    #[serde(flatten)]
    pub totals: Totals,
    /// Shoppers who went away without paying.
    pub abandoned: u64,
    /// Shoppers whose bank refused, whether at the provider's page or on a saved card.
    #[serde(rename = "declined")]
    pub refused: u64,
    /// Money that is in nobody's books, and sales that need not have been lost.
    pub lost: u64,
    /// Of those: sales.
    pub lost_sales: u64,
    /// Shoppers who could not pay because every channel for them was broken.
    pub no_channel_left: u64,
    /// Payments with more than one captured order that was not given back.
    pub charged_twice: u64,
    /// Payments of which something is still not known.
    pub unknown: u64,
    /// Differences between the two sets of books.
    pub mismatches: u64,
    /// From the beginning of the first fault to the first shopper who was sent elsewhere.
    pub fault_to_reroute_ms: Option<u64>,
    /// What the gateway added to a create request, median.
    pub added_p50_us: u64,
    /// The same, 99th percentile.
    pub added_p99_us: u64,
    /// What a create request took in all, median.
    pub create_p50_us: u64,
    /// The same, 99th percentile.
    pub create_p99_us: u64,
    /// Signed messages that the merchant's server took and verified.
    pub webhooks_delivered: u64,
    /// Paid payments of which it was not told.
    pub webhooks_missing: u64,
    /// Create calls whose effect was unknown, and was settled afterwards.
    pub unknown_settled: u64,
    /// From the last shopper to quiet books.
    pub settle_ms: u64,
    /// By channel.
    pub channels: Vec<ChannelFigures>,
    /// What was found, a line each; empty when all is well.
    pub findings: Vec<String>,
    /// What happened besides the figures.
    pub story: Vec<Happened>,
}

/// One channel's part in it.
#[derive(Clone, Debug, Serialize)]
pub struct ChannelFigures {
    /// Its name.
    pub name: String,
    /// Create calls.
    pub calls: u64,
    /// Of those, failed technically.
    pub failed: u64,
    /// Payments that it captured.
    pub paid: u64,
    /// Why calls failed: provider's codes and ours, with their counts.
    pub codes: BTreeMap<String, u64>,
}

impl Report {
    /// Whether no money and no sale was lost, nobody charged twice, and both books agree.
    pub fn is_good(&self) -> bool {
        self.lost == 0 && self.charged_twice == 0 && self.mismatches == 0 && self.unknown == 0
    }

    /// Takes the comparison's findings in.
    pub(super) fn judge(&mut self, found: Comparison) {
        self.lost = self.lost_sales + found.lost.len() as u64;
        self.charged_twice = found.charged_twice.len() as u64;
        self.unknown = found.unknown.len() as u64;
        self.mismatches = found.mismatches.len() as u64;
        let label = |kind: &'static str| move |line: String| format!("{kind}: {line}");
        self.findings.extend(found.lost.into_iter().map(label("lost")));
        self.findings.extend(found.charged_twice.into_iter().map(label("charged twice")));
        self.findings.extend(found.unknown.into_iter().map(label("unknown")));
        self.findings.extend(found.mismatches.into_iter().map(label("mismatch")));
    }

    /// The report for people.
    pub fn text(&self, lang: Lang, color: bool) -> String {
        let mut text = String::new();
        let paint = |text: String, style: Style| {
            if color { text.style(style).to_string() } else { text }
        };
        let title = lang.pick("The books, compared", "对账结果");
        let _ = writeln!(text, "{}", paint(title.to_owned(), Style::new().bold()));
        for (label, value, note, grave) in self.lines(lang) {
            let style = match (grave, value.as_str()) {
                (true, "0") => Style::new().green().bold(),
                (true, _) => Style::new().red().bold(),
                (false, _) => Style::new().bold(),
            };
            let value = paint(format!("{value:>9}"), style);
            let label = if note.is_empty() { label.to_owned() } else { pad(label, 24) };
            let note = if note.is_empty() { note } else { paint(note, Style::new().dimmed()) };
            let _ = writeln!(text, "{}", format!("  {value}  {label} {note}").trim_end());
        }
        let table = self.table(lang).to_string();
        text.push('\n');
        for line in table.lines() {
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text.push('\n');
        if !self.story.is_empty() {
            let title = lang.pick("What happened", "经过");
            let _ = writeln!(text, "{}", paint(title.to_owned(), Style::new().bold()));
            for happened in &self.story {
                let told = hang(&happened.told(lang), "    ", SCREEN);
                let _ = writeln!(text, "  • {}", told.trim_start());
            }
            text.push('\n');
        }
        for line in self.findings.iter().take(20) {
            let _ = writeln!(text, "  {}", paint(line.clone(), Style::new().red()));
        }
        if self.findings.len() > 20 {
            let _ = writeln!(text, "  … {} more", self.findings.len() - 20);
        }
        text.push_str(&self.verdict(lang, color));
        text
    }

    fn verdict(&self, lang: Lang, color: bool) -> String {
        let (good, verdict) = match (self.is_good(), self.interrupted) {
            (true, false) => (
                true,
                lang.pick(
                    "Nothing lost, nobody charged twice, all unknowns settled, both books agree.",
                    "无一笔丢失，无一笔重复扣款，所有未知状态均已查清，两套账本完全一致。",
                ),
            ),
            (true, true) => (
                true,
                lang.pick(
                    "Stopped early. Nothing lost so far, nobody charged twice, both books agree.",
                    "提前停止。截至此刻：无丢失，无重复扣款，两套账本一致。",
                ),
            ),
            (false, _) => (
                false,
                lang.pick(
                    "Something is wrong; the lines above say what.",
                    "存在问题，详见上方各行。",
                ),
            ),
        };
        let mark = if good { "✔" } else { "✘" };
        match (color, good) {
            (true, true) => format!("{} {}\n", mark.green(), verdict.green()),
            (true, false) => format!("{} {}\n", mark.red(), verdict.red()),
            (false, _) => format!("{mark} {verdict}\n"),
        }
    }

    /// Label, value, remark, and whether anything but 0 is bad.
    fn lines(&self, lang: Lang) -> Vec<(&'static str, String, String, bool)> {
        let p = |en, zh| lang.pick(en, zh);
        let number = |n: u64| n.to_string();
        let t = &self.totals;
        let mut lines = vec![
            (p("payments asked", "支付请求"), number(t.payments), String::new(), false),
            (p("paid", "已支付"), number(t.paid), String::new(), false),
            (
                p("rerouted", "自动改道"),
                number(t.rerouted),
                p("the first channel was down or failed", "首选通道故障，改走其他通道").into(),
                false,
            ),
            (
                p("declined by customers", "客户侧拒绝"),
                number(self.refused),
                p("the customer's bank said no", "发卡行拒绝").into(),
                false,
            ),
            (
                p("abandoned", "客户放弃"),
                number(self.abandoned),
                p("the shopper left; the shop cancelled", "客户离开，商户取消").into(),
                false,
            ),
        ];
        if self.no_channel_left > 0 {
            let note = p("every channel for them was broken", "当时所有可用通道均故障");
            lines.push((
                p("no channel left", "无可用通道"),
                number(self.no_channel_left),
                note.into(),
                false,
            ));
        }
        lines.extend([
            (
                p("second successes", "重复成功"),
                number(t.refunded_seconds),
                p("paid twice by customers; given back", "客户重复付款，已自动退款").into(),
                false,
            ),
            (
                p("unknown, then settled", "未知后查清"),
                number(self.unknown_settled),
                p("calls that no provider answered", "渠道未应答的请求").into(),
                false,
            ),
            (
                p("webhooks delivered", "商户通知"),
                number(self.webhooks_delivered),
                p("signed; verified by the merchant", "已签名并由商户验签").into(),
                false,
            ),
            (p("lost", "丢失"), number(self.lost), String::new(), true),
            (p("charged twice", "重复扣款"), number(self.charged_twice), String::new(), true),
            (p("still unknown", "仍未知"), number(self.unknown), String::new(), true),
            (p("mismatches", "账本差异"), number(self.mismatches), String::new(), true),
        ]);
        if let Some(ms) = self.fault_to_reroute_ms {
            let note = p("first fault to first rerouted payment", "从首次故障到首笔改道");
            lines.push((
                p("fault to reroute", "故障到改道"),
                format!("{ms} ms"),
                note.into(),
                false,
            ));
        }
        lines.push((
            p("added by the gateway", "网关附加耗时"),
            millis(self.added_p50_us),
            format!("p50; p99 {}", millis(self.added_p99_us)),
            false,
        ));
        lines
    }

    fn table(&self, lang: Lang) -> Table {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        let p = |en: &'static str, zh: &'static str| lang.pick(en, zh);
        table.set_header([
            pad(p("  channel", "  通道"), 15),
            p("calls", "请求").to_owned(),
            p("failed", "失败").to_owned(),
            p("paid", "支付").to_owned(),
            p("why calls failed", "失败原因").to_owned(),
        ]);
        for channel in &self.channels {
            table.add_row([
                format!("  {}", channel.name),
                channel.calls.to_string(),
                channel.failed.to_string(),
                channel.paid.to_string(),
                codes(&channel.codes, SCREEN - WHY_FROM),
            ]);
        }
        for column in table.column_iter_mut().skip(1).take(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

/// The column in which the reasons begin.
const WHY_FROM: usize = 43;

/// Codes and their counts, the most frequent first, as many as fit.
fn codes(codes: &BTreeMap<String, u64>, width: usize) -> String {
    let mut sorted: Vec<(&String, &u64)> = codes.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let mut told = String::new();
    for (code, count) in sorted {
        let more = format!("{}{code} {count}", if told.is_empty() { "" } else { ", " });
        if !told.is_empty() && columns(&told) + columns(&more) + 3 > width {
            return told + ", …";
        }
        told.push_str(&more);
    }
    clip(&told, width)
}

/// Microseconds as people read them.
pub(super) fn millis(us: u64) -> String {
    if us < 1_000 { format!("{us} µs") } else { format!("{:.1} ms", us as f64 / 1_000.0) }
}
