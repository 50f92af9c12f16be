//! What a demo shows while it runs: a block that is redrawn on a terminal, or a line a second.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use owo_colors::{OwoColorize, Style};

use super::width::{clip, columns, pad};
use crate::lang::Lang;

/// The state of things at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    /// Since the start.
    pub(super) at: Duration,
    /// Of how long.
    pub(super) of: Duration,
    /// By channel, in their order.
    pub(super) channels: Vec<ChannelLine>,
    /// Payments asked for so far.
    pub(super) asked: u64,
    /// Paid so far, as merchants were told.
    pub(super) paid: u64,
    /// Rerouted so far.
    pub(super) rerouted: u64,
    /// Effects that are unknown at this moment and are being settled.
    pub(super) unknown: u64,
    /// Effects that were unknown and are settled.
    pub(super) settled: u64,
    /// What goes on, in words.
    pub(super) phase: String,
}

/// One channel at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct ChannelLine {
    /// Its name.
    pub(super) name: String,
    /// Create calls in the last second.
    pub(super) per_second: u64,
    /// Share of them that went well, in percent; `None` without traffic.
    pub(super) success: Option<u64>,
    /// The worst health of its methods.
    pub(super) health: &'static str,
}

/// Where frames go.
pub(super) struct Live {
    lang: Lang,
    color: bool,
    out: Out,
    /// When the last frame was shown.
    last: Mutex<Option<Duration>>,
    /// Frames that were shown as lines.
    lines: AtomicU64,
}

/// Lines between two headings.
const HEADING_EVERY: u64 = 20;

enum Out {
    /// A block that is redrawn.
    Screen(Screen),
    /// A line a second.
    Lines,
    /// Nothing.
    Nowhere,
}

struct Screen {
    all: MultiProgress,
    lines: Vec<ProgressBar>,
}

impl Live {
    /// A block on a terminal that can redraw, plain lines elsewhere.
    pub(super) fn new(lang: Lang, color: bool, channels: usize) -> Live {
        let redraws = color && std::io::stderr().is_terminal();
        let out = if redraws { Out::Screen(Screen::new(channels + 3)) } else { Out::Lines };
        Live { lang, color, out, last: Mutex::default(), lines: AtomicU64::new(0) }
    }

    /// Says nothing at all.
    pub(super) fn silent() -> Live {
        let lines = AtomicU64::new(0);
        Live { lang: Lang::En, color: false, out: Out::Nowhere, last: Mutex::default(), lines }
    }

    /// Whether it is time for the next frame.
    pub(super) fn is_due(&self, at: Duration, of: Duration) -> bool {
        let every = match self.out {
            Out::Screen(_) => Duration::from_millis(100),
            // Little happens once the shoppers have gone.
            Out::Lines if at > of => Duration::from_secs(5),
            Out::Lines => Duration::from_secs(1),
            Out::Nowhere => return false,
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| at >= last + every);
        if due {
            *last = Some(at);
        }
        due
    }

    /// Says something that stays.
    pub(super) fn say(&self, text: &str) {
        match &self.out {
            // Fails only when the terminal has gone.
            Out::Screen(screen) => {
                let _ = screen.all.println(text);
            }
            Out::Lines => eprintln!("{text}"),
            Out::Nowhere => {}
        }
    }

    /// Announces what the sandbox does now.
    pub(super) fn announce(&self, at: Duration, text: &str) {
        let line = format!("{:>6.1} s  {text}", at.as_secs_f64());
        let line = if self.color { line.yellow().to_string() } else { line };
        self.say(&line);
    }

    /// Shows the state of things.
    pub(super) fn show(&self, frame: &Frame) {
        match &self.out {
            Out::Screen(screen) => screen.draw(&self.block(frame)),
            Out::Lines => {
                if self.lines.fetch_add(1, Ordering::Relaxed).is_multiple_of(HEADING_EVERY) {
                    eprintln!("{}", heading(frame, self.lang));
                }
                eprintln!("{}", line(frame));
            }
            Out::Nowhere => {}
        }
    }

    /// Takes the block away.
    pub(super) fn clear(&self) {
        if let Out::Screen(screen) = &self.out {
            screen.lines.iter().for_each(ProgressBar::finish_and_clear);
            // Fails only when the terminal has gone.
            let _ = screen.all.clear();
        }
    }

    fn block(&self, frame: &Frame) -> Vec<String> {
        let p = |en: &'static str, zh: &'static str| self.lang.pick(en, zh);
        let mut lines = vec![format!(
            "{} {:>4.1}/{:.0} s  {}",
            bar(frame.at.as_secs_f64() / frame.of.as_secs_f64().max(0.001), 24),
            frame.at.as_secs_f64(),
            frame.of.as_secs_f64(),
            clip(&frame.phase, 40).dimmed()
        )];
        for channel in &frame.channels {
            let success = channel.success.map_or("   –".to_owned(), |s| format!("{s:>3}%"));
            lines.push(format!(
                "  {} {:>4}/s  {success} {}  {}",
                pad(&channel.name, 14),
                channel.per_second,
                bar(channel.success.unwrap_or(0) as f64 / 100.0, 10),
                channel.health.style(health_style(channel.health))
            ));
        }
        lines.push(format!(
            "  {} {}   {} {}   {} {}",
            p("asked", "请求").dimmed(),
            frame.asked.bold(),
            p("paid", "已付").dimmed(),
            frame.paid.bold().green(),
            p("rerouted", "改道").dimmed(),
            frame.rerouted.bold().cyan(),
        ));
        lines.push(format!(
            "  {} {}   {} {}",
            p("unknown, being settled", "未知，正在查清").dimmed(),
            frame.unknown.bold().yellow(),
            p("settled", "已查清").dimmed(),
            frame.settled.bold()
        ));
        lines
    }
}

/// What stands over the lines: the channels by their short names, calls a second in each.
fn heading(frame: &Frame, lang: Lang) -> String {
    let p = |en: &'static str, zh: &'static str| lang.pick(en, zh);
    let marks = p(
        "calls a second by channel; ? suspect  ✗ down  ↑ coming back",
        "各通道每秒请求数；? 可疑  ✗ 下线  ↑ 恢复中",
    );
    let mut line = " ".repeat(7);
    for channel in &frame.channels {
        line.push_str(&right(short(&channel.name), cell_width(channel)));
    }
    for (label, width) in [
        (p("asked", "请求"), 6),
        (p("paid", "已付"), 6),
        (p("rerouted", "改道"), 9),
        (p("unknown", "未知"), 8),
    ] {
        line.push_str(&right(label, width));
    }
    format!("{:7}{marks}\n{line}", "")
}

/// One moment in one line of at most 80 columns.
fn line(frame: &Frame) -> String {
    let mut line = format!("{:>7.1}", frame.at.as_secs_f64());
    for channel in &frame.channels {
        let mark = match channel.health {
            "healthy" => "",
            "suspect" => "?",
            "down" => "✗",
            _ => "↑",
        };
        let cell = format!("{}/s{mark:1}", channel.per_second);
        line.push_str(&right(&cell, cell_width(channel)));
    }
    let _ = write!(
        line,
        "{:>6}{:>6}{:>9}{:>8}",
        frame.asked, frame.paid, frame.rerouted, frame.unknown
    );
    line
}

/// Channels of the demo are named after their providers.
fn short(name: &str) -> &str {
    name.strip_suffix("-main").unwrap_or(name)
}

fn cell_width(channel: &ChannelLine) -> usize {
    columns(short(&channel.name)).max(6) + 1
}

fn right(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(columns(text))))
}

impl Screen {
    fn new(count: usize) -> Screen {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let style = ProgressStyle::with_template("{msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let lines = (0..count).map(|_| all.add(ProgressBar::new(1).with_style(style.clone())));
        let lines = lines.collect();
        Screen { all, lines }
    }

    fn draw(&self, texts: &[String]) {
        for (line, text) in self.lines.iter().zip(texts) {
            line.set_message(text.clone());
            line.tick();
        }
    }
}

fn health_style(health: &str) -> Style {
    match health {
        "healthy" => Style::new().green(),
        "down" => Style::new().red().bold(),
        "suspect" => Style::new().yellow(),
        _ => Style::new().cyan(),
    }
}

fn bar(share: f64, width: usize) -> String {
    let full = (share.clamp(0.0, 1.0) * width as f64).round() as usize;
    format!("{}{}", "█".repeat(full), "░".repeat(width - full))
}

#[cfg(test)]
mod tests {
    use super::super::width::SCREEN;
    use super::*;

    #[test]
    fn six_busy_channels_fit_on_a_line_of_80_columns() {
        let names = [
            "alipay-main",
            "wechat-main",
            "stripe-main",
            "unionpay-main",
            "paypal-main",
            "bank-main",
        ];
        let channel = |name: &&str| ChannelLine {
            name: (*name).to_owned(),
            per_second: 999,
            success: Some(97),
            health: "down",
        };
        let frame = Frame {
            at: Duration::from_secs(119),
            channels: names.iter().map(channel).collect(),
            asked: 99_999,
            paid: 99_999,
            rerouted: 99_999,
            unknown: 9_999,
            ..Frame::default()
        };
        for text in [line(&frame), heading(&frame, Lang::En), heading(&frame, Lang::Zh)] {
            assert!(text.lines().all(|line| columns(line) <= SCREEN), "{text}");
        }
        let ends = |text: &str, word: &str| columns(&text[..text.find(word).unwrap() + word.len()]);
        let under = heading(&frame, Lang::En);
        let names_line = under.lines().nth(1).unwrap();
        assert_eq!(ends(names_line, "unionpay"), 37, "{under}");
    }
}
