//! The public status page: how each way to pay is, what goes on, and what is planned.
//!
//! Not here: what is known, and the same as JSON.

use askama::Template;
use domain::{Locale, Method};

use crate::checkout::render;
use crate::words::{Words, sentences};

/// How a way to pay is, the better ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// As usual.
    Fine,
    /// Away by plan.
    Planned,
    /// Works, and not for everybody or not as usual.
    Ill,
    /// Does not work.
    Out,
}

impl State {
    fn class(&self) -> &'static str {
        match self {
            State::Fine => "fine",
            State::Planned | State::Ill => "ill",
            State::Out => "out",
        }
    }
}

/// What the status page shows; times as people read them.
#[derive(Clone, Debug)]
pub struct StatusPage<'a> {
    /// The reader's language.
    pub locale: Locale,
    /// Every way to pay.
    pub methods: Vec<(Method, State)>,
    /// What goes on or went on, the newest first.
    pub incidents: Vec<Happening>,
    /// What is planned, the nearest first.
    pub planned: Vec<Plan>,
    /// When this was so.
    pub as_of: &'a str,
}

/// Something that goes on or went on.
#[derive(Clone, Debug)]
pub struct Happening {
    /// What it is called.
    pub name: String,
    /// Whether it is over.
    pub over: bool,
    /// When something was told, and what; the newest first.
    pub updates: Vec<(String, String)>,
}

/// Planned work.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it is called.
    pub name: String,
    /// From when.
    pub from: String,
    /// Until when.
    pub until: String,
    /// Whether it is under way.
    pub active: bool,
}

sentences! {
    status_title: "支付服务状态", "Payment status";
    ways: "支付方式", "Ways to pay";
    all_fine: "所有支付方式正常", "All ways to pay work";
    some_ill: "部分支付方式异常", "Some ways to pay do not work as usual";
    none_works: "暂时无法付款", "Payment is not possible right now";
    now: "正在发生", "Right now";
    before: "近期事件", "Recently";
    planned: "计划维护", "Planned maintenance";
    under_way: "进行中", "Under way";
    state_fine: "正常", "Works";
    state_planned: "维护中", "Under maintenance";
    state_ill: "部分异常", "Partly unavailable";
    state_out: "不可用", "Unavailable";
    to: "至", "to";
    as_of: "更新于", "As of";
    feed: "机器可读的数据", "For machines";
}

impl Words {
    fn state(&self, state: &State) -> &'static str {
        match state {
            State::Fine => self.state_fine(),
            State::Planned => self.state_planned(),
            State::Ill => self.state_ill(),
            State::Out => self.state_out(),
        }
    }
}

#[derive(Template)]
#[template(path = "status.html")]
struct Page<'a> {
    view: &'a StatusPage<'a>,
    words: Words,
    base: &'a str,
}

impl Page<'_> {
    fn headline(&self) -> (&'static str, State) {
        let out = |(_, state): &&(Method, State)| *state >= State::Planned;
        match self.view.methods.iter().filter(out).count() {
            0 => (self.words.all_fine(), State::Fine),
            n if n == self.view.methods.len() => (self.words.none_works(), State::Out),
            _ => (self.words.some_ill(), State::Ill),
        }
    }

    fn happenings(&self, over: &bool) -> Vec<&Happening> {
        self.view.incidents.iter().filter(|one| one.over == *over).collect()
    }
}

/// The whole page. `base` is the path before `/status`, without a slash at its end.
pub fn page(view: &StatusPage<'_>, base: &str) -> String {
    render(&Page { view, words: Words(view.locale), base })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headline_says_how_much_works() {
        let page = |methods, locale| {
            let view = StatusPage {
                locale,
                methods,
                incidents: Vec::new(),
                planned: Vec::new(),
                as_of: "now",
            };
            super::page(&view, "")
        };
        let (alipay, wechat) = (Method::Alipay, Method::WechatPay);
        let fine = page(vec![(alipay, State::Fine), (wechat, State::Fine)], Locale::En);
        assert!(fine.contains("All ways to pay work"), "{fine}");
        let some = page(vec![(alipay, State::Out), (wechat, State::Fine)], Locale::Zh);
        assert!(some.contains("部分支付方式异常") && some.contains("lang=\"zh-CN\""), "{some}");
        let none = page(vec![(alipay, State::Out), (wechat, State::Out)], Locale::En);
        assert!(none.contains("Payment is not possible right now"), "{none}");
    }
}
