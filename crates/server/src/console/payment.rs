//! One payment: its attempts and why each went where it went, its refunds, and its story.

use axum::extract::State;
use axum::response::Response;
use domain::{
    Attempt, AttemptState, Class, CloseWhy, Considered, Event, EventKind, Payment, PaymentId,
    Refund, RefundProgress, RuleNote, Tier,
};
use pages::console::{Block, Cell, Line, Part, Room, Table, Tile, Tone, View, Words, phrase};

use super::payments::tone;
use super::reply::Stop;
use super::say;
use super::visitor::Visitor;
use crate::app::Shared;
use crate::params::NameInPath;

pub(super) async fn show(
    State(state): State<Shared>,
    visitor: Visitor,
    NameInPath(id): NameInPath,
) -> Result<Response, Stop> {
    let nowhere = || Stop::NotThere(visitor.locale);
    let id: PaymentId = id.parse().map_err(|_| nowhere())?;
    let store = state.engine.store();
    let found = store.payment(id).await.map_err(Stop::books(visitor.locale))?;
    let payment = found.ok_or_else(nowhere)?;
    let events = store.story(id).await.map_err(Stop::books(visitor.locale))?;
    let view = room(Words(visitor.locale), &payment, &events);
    Ok(visitor.page(&state, Room::Payments, &view))
}

fn room(words: Words, payment: &Payment, events: &[Event]) -> View {
    let mut parts = vec![Part::Tiles(tiles(words, payment)), Part::Facts(facts(words, payment))];
    if let Some(review) = payment.review {
        let text = format!("{}: {}", words.review(), words.review_name(review));
        parts.insert(0, Part::Note(text.into(), Some(Tone::Warn)));
    }
    let mut blocks = vec![Block::live("payment", parts)];
    let mut attempts = vec![Part::Heading(words.attempts().to_owned())];
    if payment.attempts.is_empty() {
        attempts.push(Part::Note(words.no_attempts().into(), None));
    }
    blocks.push(Block::still(attempts));
    for attempt in &payment.attempts {
        let card = Block {
            live: Some(name_of(attempt.ordinal)),
            ..Block::card(told(words, payment, attempt))
        };
        blocks.push(card);
    }
    blocks.push(Block::live(
        "story",
        vec![
            Part::Heading(words.refunds().to_owned()),
            Part::Table(refunds(words, payment)),
            Part::Heading(words.story().to_owned()),
            Part::Table(story(words, events)),
        ],
    ));
    View {
        title: Some(payment.order.to_string()),
        above: Some((words.room(Room::Payments).to_owned(), Room::Payments.path().to_owned())),
        live: true,
        blocks,
    }
}

/// Names for the first attempts' blocks; later ones are renewed with the page.
fn name_of(ordinal: u16) -> &'static str {
    const NAMES: [&str; 9] = ["a", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8"];
    NAMES.get(usize::from(ordinal)).copied().unwrap_or("a")
}

fn tiles(words: Words, payment: &Payment) -> Vec<Tile> {
    let status = payment.status();
    let tile = |name: &str, figure: String, small: Option<String>, tone| Tile {
        name: name.to_owned(),
        figure,
        small,
        tone,
    };
    let last = payment.attempts.last();
    let channel = last.map_or_else(|| "–".to_owned(), |a| a.channel.to_string());
    let method = last.map(|a| a.method.label(words.0).to_owned());
    vec![
        tile(words.amount(), say::money(payment.money), None, Tone::Quiet),
        tile(words.status(), words.status_name(status).to_owned(), None, tone(status)),
        tile(words.channel(), channel, method, Tone::Quiet),
        tile(words.merchant(), payment.merchant.to_string(), None, Tone::Quiet),
    ]
}

fn facts(words: Words, payment: &Payment) -> Vec<(String, Line)> {
    let terms = &payment.terms;
    let tier = match terms.tier {
        Tier::Standard => words.pick("普通", "standard"),
        Tier::Vip => "VIP",
    };
    let mut facts = vec![
        (words.payment().to_owned(), Line::code(payment.id)),
        (words.subject().to_owned(), terms.subject.as_str().into()),
        (words.made().to_owned(), payment.created_at.into()),
        (words.expires().to_owned(), payment.expires_at.into()),
        (words.purpose().to_owned(), words.purpose_name(&terms.purpose).into()),
        (words.tier().to_owned(), tier.into()),
    ];
    if let Some(hold) = &payment.hold {
        let line = match hold.ended {
            Some(end) => Line::from(words.hold_end(end)),
            None => Line::at(words.pick("保留至 {}", "until {}"), hold.until),
        };
        facts.push((words.hold().to_owned(), line));
    }
    if let Some(issuer) = &terms.issuer {
        facts
            .push((words.pick("顾客的银行", "Customer's bank").to_owned(), issuer.as_str().into()));
    }
    facts
}

/// An attempt's own story.
fn told(words: Words, payment: &Payment, attempt: &Attempt) -> Vec<Part> {
    let heading = format!(
        "{} {} · {} · {}",
        words.attempt(),
        attempt.ordinal,
        attempt.channel,
        attempt.method.label(words.0)
    );
    let state = Line::from(words.attempt_state(&attempt.state));
    let mut facts = vec![
        (words.why_here().to_owned(), phrase(words.0, &attempt.choice.reason).into()),
        (words.said().to_owned(), said(words, attempt)),
        (
            words.sent().to_owned(),
            Line::from(attempt.sent_at).and(format!(" · {}", words.flow(attempt.flow))),
        ),
        (words.provider_number().to_owned(), Line::code(&attempt.number)),
    ];
    if let Some(reference) = &attempt.reference {
        facts.push((words.provider_reference().to_owned(), Line::code(reference)));
    }
    let mut parts = vec![
        Part::Heading(heading),
        Part::Note(state, Some(attempt_tone(&attempt.state))),
        Part::Facts(facts),
    ];
    let list = |title: &str, lines: Vec<Line>, parts: &mut Vec<Part>| {
        if !lines.is_empty() {
            parts.push(Part::Lines(title.to_owned(), lines));
        }
    };
    let considered = |c: &Considered| considered(words, payment, c);
    let excluded = attempt.choice.excluded.iter().map(considered).collect();
    list(words.left_out(), excluded, &mut parts);
    if attempt.choice.order.len() > 1 {
        list(words.order_then(), attempt.choice.order.iter().map(considered).collect(), &mut parts);
    }
    let rules = attempt.choice.rules.iter().map(|rule| rule_line(words, rule)).collect();
    list(words.rules(), rules, &mut parts);
    parts
}

fn attempt_tone(state: &AttemptState) -> Tone {
    match state {
        AttemptState::Paid { .. } => Tone::Good,
        AttemptState::Unknown { .. } | AttemptState::Closing { .. } => Tone::Warn,
        AttemptState::Declined { .. } | AttemptState::Failed { .. } => Tone::Bad,
        AttemptState::InFlight | AttemptState::Presented { .. } | AttemptState::Closed { .. } => {
            Tone::Quiet
        }
    }
}

/// What the provider said, or that it said nothing.
fn said(words: Words, attempt: &Attempt) -> Line {
    let code = |code: &str, detail: &str| Line::code(code).and(format!(" {detail}"));
    match &attempt.state {
        AttemptState::InFlight => words.pick("还没有答复", "nothing yet").into(),
        AttemptState::Presented { .. } => {
            words.pick("已生成付款码或链接", "it made a code or link").into()
        }
        AttemptState::Unknown { fault, since, .. } => {
            code(&fault.code, &fault.detail).and(words.pick("，自 ", ", since ")).and(*since)
        }
        AttemptState::Closing { since, why: CloseWhy::Orphan, .. } => Line::at(
            words.pick(
                "没有答复；没有人见过它的付款码，因此已换通道，并自 {} 起要求关闭",
                "no answer came; nobody has seen a code of it, so another channel took over, \
                 and it is asked to close it since {}",
            ),
            *since,
        ),
        AttemptState::Closing { since, .. } => {
            Line::at(words.pick("自 {} 起要求关闭", "asked to close it since {}"), *since)
        }
        AttemptState::Closed { at, proof } => Line::from(words.proof(*proof)).and(" · ").and(*at),
        AttemptState::Declined { at, decline } => Line::code(&decline.code).and(" · ").and(*at),
        AttemptState::Failed { at, class, fault } => {
            let class = match class {
                Class::Rejected => {
                    words.pick("请求被拒绝（我方原因）：", "our request was refused: ")
                }
                _ => words.pick("不可用：", "unavailable: "),
            };
            Line::from(class).and(code(&fault.code, &fault.detail)).and(" · ").and(*at)
        }
        AttemptState::Paid { at, receipt, source } => Line::from(say::money(receipt.captured))
            .and(words.pick("，得知自", ", learned from "))
            .and(words.source(*source))
            .and(" · ")
            .and(*at),
    }
}

fn considered(words: Words, payment: &Payment, c: &Considered) -> Line {
    let mut text =
        format!("{}: {}", say::cell(words, &c.channel, Some(c.method)), phrase(words.0, &c.why));
    if let Some(ppm) = c.success_ppm {
        text.push_str(&format!(" · {} {}", words.expected(), say::percent(f64::from(ppm) / 1e6)));
    }
    if let Some(fee) =
        c.fee_minor.and_then(|fee| domain::Money::new(fee, payment.money.currency()).ok())
    {
        text.push_str(&format!(" · {} {}", words.fee(), say::money(fee)));
    }
    text.into()
}

fn rule_line(words: Words, rule: &RuleNote) -> Line {
    let skipped = if rule.skipped { format!(" ({})", words.skipped()) } else { String::new() };
    format!("{}: {}{skipped}", rule.name, rule.said).into()
}

fn refunds(words: Words, payment: &Payment) -> Table {
    let amount = format!("#{}", words.amount());
    let mut table = Table::new(
        words.refunds(),
        &[words.asked(), &amount, words.status(), words.why(), words.provider_number()],
    );
    table.empty = Some(words.no_refunds().to_owned());
    for refund in &payment.refunds {
        table.push(vec![
            Cell::from(refund.requested_at),
            Cell::number(say::money(refund.amount)),
            progress(words, refund),
            Cell::from(words.refund_reason(refund.reason))
                .with(refund.note.clone().unwrap_or_default()),
            Cell::from(Line::code(&refund.number)),
        ]);
    }
    table
}

fn progress(words: Words, refund: &Refund) -> Cell {
    match &refund.progress {
        RefundProgress::Requested { .. }
        | RefundProgress::InFlight { .. }
        | RefundProgress::Pending { .. } => {
            Cell::from(words.pick("处理中", "under way")).toned(Tone::Warn)
        }
        RefundProgress::ByHand { .. } => {
            Cell::from(words.pick("须由人工退款", "to be made by hand")).toned(Tone::Warn)
        }
        RefundProgress::Succeeded { at } => {
            Cell::from(words.pick("已退回", "given back")).toned(Tone::Good).with(*at)
        }
        RefundProgress::Failed { at, fault } => Cell::from(words.pick("失败", "failed"))
            .toned(Tone::Bad)
            .with(Line::code(&fault.code).and(format!(" {}", fault.detail)))
            .with(*at),
    }
}

fn story(words: Words, events: &[Event]) -> Table {
    let mut table = Table::new(words.story(), &[words.when(), words.what()]);
    for event in events {
        table.push(vec![Cell::from(event.at), Cell::from(happened(words, &event.kind))]);
    }
    table
}

/// What happened, in a sentence.
fn happened(words: Words, kind: &EventKind) -> Line {
    let pick = |zh: String, en: String| Line::from(words.pick(zh, en));
    let plain = |zh: &str, en: &str| Line::from(words.pick(zh, en));
    match kind {
        EventKind::Created => plain("商户创建了支付单", "The merchant asked for the payment"),
        EventKind::AttemptStarted { ordinal, channel, method } => {
            let cell = say::cell(words, channel, Some(*method));
            pick(format!("尝试 {ordinal} 开始：{cell}"), format!("Attempt {ordinal} began: {cell}"))
        }
        EventKind::AttemptShown { ordinal } => pick(
            format!("尝试 {ordinal}：付款码或链接已展示给顾客"),
            format!("Attempt {ordinal}: a code or link was shown to the customer"),
        ),
        EventKind::AttemptUnknown { ordinal, code } => pick(
            format!("尝试 {ordinal}：结果未知（{code}），正在查询"),
            format!("Attempt {ordinal}: its result is not known ({code}); it is being asked about"),
        ),
        EventKind::AttemptFailed { ordinal, code, .. } => pick(
            format!("尝试 {ordinal}：失败（{code}），确定未扣款"),
            format!("Attempt {ordinal}: failed ({code}), surely not charged"),
        ),
        EventKind::AttemptDeclined { ordinal, code } => pick(
            format!("尝试 {ordinal}：被拒（{code}）"),
            format!("Attempt {ordinal}: declined ({code})"),
        ),
        EventKind::CloseAsked { ordinal } => pick(
            format!("尝试 {ordinal}：要求服务商关闭"),
            format!("Attempt {ordinal}: the provider is asked to close it"),
        ),
        EventKind::AttemptClosed { ordinal, proof } => {
            let proof = words.proof(*proof);
            pick(
                format!("尝试 {ordinal}：已关闭，{proof}"),
                format!("Attempt {ordinal}: closed, {proof}"),
            )
        }
        EventKind::AttemptPaid { ordinal, source } => {
            let source = words.source(*source);
            pick(
                format!("尝试 {ordinal}：已付款，得知自{source}"),
                format!("Attempt {ordinal}: paid, learned from {source}"),
            )
        }
        EventKind::ExpiryExtended { until } => {
            Line::at(words.pick("有效期延长至 {}", "Lives longer, until {}"), *until)
        }
        EventKind::PartReceived { received_minor, rest_minor, .. } => pick(
            format!("收到部分款项：{received_minor}，还差 {rest_minor}（最小货币单位）"),
            format!("A part has come: {received_minor}, {rest_minor} to go (minor units)"),
        ),
        EventKind::Held { until } => Line::at(
            words.pick("订单已保留，可付款至 {}", "The order is kept, to be paid until {}"),
            *until,
        ),
        EventKind::HoldExtended { until } => {
            Line::at(words.pick("保留延长至 {}", "The order is kept for longer, until {}"), *until)
        }
        EventKind::HoldReleased { end } => {
            let end = words.hold_end(*end);
            pick(format!("保留结束：{end}"), format!("The order is not kept any more: {end}"))
        }
        EventKind::Reminded { why } => {
            let why = words.reminder(*why);
            pick(format!("提醒顾客：{why}"), format!("The customer is reminded: {why}"))
        }
        EventKind::Kept { until } => Line::at(
            words.pick("功能暂停，保留至 {}", "Kept while its feature is paused, until {}"),
            *until,
        ),
        EventKind::WorkReleased => {
            plain("功能恢复，继续处理", "Its feature goes on, and so does it")
        }
        EventKind::GraceExtended { until } => {
            Line::at(words.pick("订阅宽限至 {}", "The subscription lives on until {}"), *until)
        }
        EventKind::Paid { ordinal, late: false } => {
            pick(format!("已支付（尝试 {ordinal}）"), format!("Paid by attempt {ordinal}"))
        }
        EventKind::Paid { ordinal, late: true } => pick(
            format!("结束后才付款，按策略接受（尝试 {ordinal}）"),
            format!("Paid after its end by attempt {ordinal}, taken by policy"),
        ),
        EventKind::Declined => plain("被顾客一方拒绝", "Declined by the customer's side"),
        EventKind::CancelAsked => plain("商户要求取消", "The merchant asked to cancel"),
        EventKind::ExpiryBegan => {
            plain("已到期，正在关闭尝试", "Its time is over; attempts are being closed")
        }
        EventKind::Cancelled => plain("已取消，未付款", "Cancelled, not paid"),
        EventKind::Expired => plain("已过期，未付款", "Expired, not paid"),
        EventKind::RefundRequested { refund, reason } => {
            let reason = words.refund_reason(*reason);
            pick(format!("退款 {refund}：{reason}"), format!("Refund {refund}: {reason}"))
        }
        EventKind::RefundUnknown { refund, code } => pick(
            format!("退款 {refund}：结果未知（{code}），正在查询"),
            format!("Refund {refund}: its result is not known ({code}); it is being asked about"),
        ),
        EventKind::RefundSucceeded { refund } => {
            pick(format!("退款 {refund}：已退回"), format!("Refund {refund}: the money went back"))
        }
        EventKind::RefundFailed { refund, code } => pick(
            format!("退款 {refund}：失败（{code}）"),
            format!("Refund {refund}: failed ({code})"),
        ),
        EventKind::ReviewRaised { why } => {
            let why = words.review_name(*why);
            pick(format!("转人工处理：{why}"), format!("A person should look at it: {why}"))
        }
        EventKind::ReviewCleared => {
            plain("无需再人工处理", "A person need not look at it any more")
        }
    }
}
