//! Every word of the console, in both languages.

use domain::{
    AttemptState, Flow, HoldEnd, Level, Locale, Proof, Purpose, RefundReason, Reminder, Review,
    Source, Status,
};

use super::{Role, Room};

/// The console's words in one language.
#[derive(Clone, Copy, Debug)]
pub struct Words(pub Locale);

/// Methods of [`Words`] that give a sentence in its language.
macro_rules! sentences {
    ($($name:ident: $zh:literal, $en:literal;)*) => {
        impl Words {
            $(#[doc = $en]
            pub fn $name(&self) -> &'static str {
                match self.0 { Locale::Zh => $zh, Locale::En => $en }
            })*
        }
    };
}

/// The same for the values of a type.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident($type:ty) { $($value:pat => $zh:literal, $en:literal;)* })*) => {
        impl Words {
            $($(#[$doc])*
            pub fn $name(&self, value: $type) -> &'static str {
                match (value, self.0) {
                    $(($value, Locale::Zh) => $zh, ($value, Locale::En) => $en,)*
                }
            })*
        }
    };
}

sentences! {
    // The shell
    lang: "zh-CN", "en";
    console: "运维控制台", "Operators' console";
    rooms: "页面", "Rooms";
    skip: "跳到内容", "Skip to content";
    sign_in: "登录", "Sign in";
    sign_out: "退出登录", "Sign out";
    name: "用户名", "Name";
    password: "密码", "Password";
    other_language: "English", "中文";
    other_locale: "en", "zh";
    other_lang: "en", "zh-CN";
    to_the_start: "回到控制台首页", "To the console's first page";
    live: "实时", "live";
    stale: "连接已断开，以下数据不是最新", "not connected: these figures are old";
    polled: "未能实时更新，每 10 秒刷新一次", "not live: looked at every 10 seconds";
    gone: "登录已失效，请重新登录", "you are signed out: sign in again";
    times_are_in: "时间按以下时区显示：", "Times are shown in";
    your_time: "本地时间", "your time";
    until_when: "结束时间", "End time";
    nothing_here: "没有内容。", "Nothing here.";
    needs_script: "图表需要 JavaScript；下方表格显示相同内容。", "Charts need JavaScript; the table below says the same.";
    same_below: "下方表格显示相同内容", "the table below says the same";
    // Signing in
    wrong_password: "用户名或密码不正确。", "Name or password is not right.";
    nobody_yet: "尚未配置任何运维账号。请用 evergate operators hash 生成一段 [[operators]] 加入配置文件，然后重新加载配置。", "No operators are configured yet. Make an [[operators]] table with `evergate operators hash`, add it to the configuration and reload it.";
    no_cookie: "浏览器没有保留登录所需的 Cookie。请通过 server.public_url 配置的地址打开本页，并允许 Cookie。", "The browser did not keep the cookie that signing in needs. Open this page at the address that server.public_url states, and allow cookies.";
    signed_out: "您已退出登录。", "You have signed out.";
    session_over: "登录已过期，请重新登录。", "The session has ended. Sign in again.";
    // Refusals
    no_token_title: "表单已失效", "The form is out of date";
    no_token: "该表单不是由本次登录打开的，未做任何更改。请返回后重试。", "The form was not opened in this session, and nothing was changed. Go back and try again.";
    may_not_title: "没有权限", "Not allowed";
    may_not: "您的角色只能查看。更改需要 operator 或 approver 角色。", "Your role may look only. Changes need the role operator or approver.";
    not_there_title: "页面不存在", "There is nothing here";
    not_there: "请检查地址。", "Check the address.";
    trouble_title: "暂时无法显示", "This cannot be shown right now";
    trouble: "账本暂时没有响应。收款不受此页影响，请稍后重试。", "The books do not answer right now. Payments do not depend on this page; try again soon.";
    // Overview
    last_minutes: "最近 5 分钟", "last 5 minutes";
    success_rate: "技术成功率", "Technical success";
    success_about: "有结果的调用中成功的比例；用户被拒不算失败", "share of calls that worked; declines of customers are no failures";
    traffic: "调用量", "Calls";
    traffic_about: "每秒对支付通道的调用", "calls to the channel a second";
    latency: "延迟 p95", "Latency p95";
    latency_about: "95% 的调用不超过此时长", "95 of 100 calls took no longer";
    unknowns: "结果未知", "Unknown results";
    unknowns_about: "每 5 秒内没有明确结果的调用", "calls without a clear result, in 5 seconds";
    declines: "被拒", "Declined";
    failures: "失败", "Failed";
    confirming_now: "正在确认的支付单", "Payments being confirmed";
    for_a_person: "等待人工处理", "Waiting for a person";
    channels_out: "停用或故障的通道", "Channels out of service";
    changes: "最近的健康变化", "Newest changes of health";
    span_5m: "5 分钟", "5 minutes";
    span_15m: "15 分钟", "15 minutes";
    span_1h: "1 小时", "1 hour";
    no_calls: "没有调用", "no calls";
    of_all: "所有通道合计", "all channels together";
    no_changes: "启动以来没有变化。", "None since the start.";
    // Channels
    channel: "通道", "Channel";
    channels: "支付通道", "Channels";
    method: "支付方式", "Method";
    all_methods: "全部方式", "all methods";
    all: "全部", "All";
    state: "状态", "State";
    why: "原因", "Why";
    since: "自", "Since";
    by_whom: "人工控制", "Set by people";
    evidence: "依据", "Evidence";
    works: "运行正常", "works as it should";
    never_changed: "启动以来", "since the start";
    put_first: "置于首位", "put first";
    act_on: "操作", "Act";
    take_out: "停用（排空）通道", "Take a channel out of service (drain)";
    take_out_about: "停用与排空是同一个操作：新的支付不再走该通道；已展示给顾客的二维码和链接仍可付款，查询、关单和退款照常进行。", "Disabling and draining are one act here: no new payment goes to the channel; codes and links that customers hold already can still be paid, and questions, closes and refunds go on.";
    put_back: "恢复通道", "Put a channel back into service";
    put_back_about: "解除人工停用；通道实测的健康状况仍然有效。", "Lifts what people have disabled; the channel's measured health still counts.";
    which: "哪个通道", "Which";
    ends: "何时结束", "When it ends";
    ends_hint: "到时自动结束，无需有人记得。", "It ends by itself at that time; nobody has to remember it.";
    reason: "原因", "Reason";
    reason_hint: "写入审计日志，1 到 200 个字。", "Goes into the audit log; 1 to 200 characters.";
    last_one: "这是该支付方式最后一个可用的通道，停用后顾客将无法使用它。", "This is the last channel in service for a method; customers cannot use it afterwards.";
    i_am_sure: "我知道，仍要停用", "I know, disable it all the same";
    disable: "停用", "Disable";
    enable: "恢复", "Put back";
    nothing_disabled: "没有被人工停用的通道。", "No channel is disabled by people.";
    m15: "15 分钟", "15 minutes";
    h1: "1 小时", "1 hour";
    h4: "4 小时", "4 hours";
    h24: "24 小时", "24 hours";
    at_time: "直到", "until";
    // Payments
    order_or_id: "订单号、支付单号或渠道订单号", "Order number, payment id or provider's order number";
    order: "订单", "Order";
    payment: "支付单", "Payment";
    status: "状态", "Status";
    search: "搜索", "Search";
    older: "更早的 →", "Older →";
    newest: "← 最新的", "← Newest";
    made: "创建时间", "Made";
    amount: "金额", "Amount";
    merchant: "商户", "Merchant";
    none_found: "没有找到。请检查号码是否完整；出于隐私，不能按联系方式搜索。", "None found. Check that the number is whole; contacts cannot be searched, to protect customers.";
    subject: "商品", "Subject";
    tier: "客户等级", "Customer's rank";
    purpose: "用途", "Purpose";
    feature: "功能", "Feature";
    expires: "到期", "Ends";
    paid_at: "支付时间", "Paid";
    review: "待人工处理", "For a person";
    attempts: "支付尝试", "Attempts";
    attempt: "尝试", "Attempt";
    no_attempts: "尚未尝试任何通道。", "No channel was tried yet.";
    why_here: "选择原因", "Why this channel";
    left_out: "排除的通道", "Left out";
    order_then: "当时的顺序", "Order then";
    rules: "路由规则", "Rules";
    said: "服务商答复", "The provider said";
    provider_number: "渠道订单号", "Provider's order number";
    provider_reference: "服务商交易号", "Provider's own id";
    sent: "发起", "Sent";
    refunds: "退款", "Refunds";
    no_refunds: "没有退款。", "No refunds.";
    asked: "申请时间", "Asked";
    ended: "结束时间", "Ended";
    code: "代码", "Code";
    story: "经过", "Story";
    when: "时间", "When";
    what: "事件", "What";
    synthetic: "合成支付（探测）", "synthetic (a trial)";
    fee: "费用", "fee";
    expected: "预期成功率", "expected success";
    skipped: "已跳过", "skipped";
    // Ladder
    reach: "范围", "For whom";
    everybody: "所有人", "Everybody";
    level: "级别", "Level";
    levels: "生效的降级级别", "Levels in force";
    no_levels: "全部正常：没有生效的降级。", "All is normal: no level is in force.";
    mover: "操作者", "Set by";
    until: "直到", "Until";
    move_title: "调整级别", "Move a level";
    move_about: "人工设定的级别优先于自动策略，直到结束时间；之后按健康状况自动恢复。", "What people set counts instead of the policy until it ends; after that, health decides again.";
    move_bars: "人工降级会让支付绕开：通道任何级别都不再使用；支付方式从“提供其他方式”起不再使用；对所有人设为“保留订单”时不再尝试任何方式。", "What people set leads payments away: a channel at any level is not used, a method from \"another method offered\" on, and for everybody at \"order held\" nothing is tried.";
    move_level: "调整", "Move";
    overruled: "被人工设定取代", "overruled by people";
    sight: "顾客所见", "What customers see";
    available: "可用", "available";
    unavailable: "暂时不可用", "unavailable";
    instead: "建议改用", "Asked to use instead";
    hold: "订单保留", "Order kept";
    lift_title: "取消人工设定", "Lift what people set";
    lift_about: "自动策略随即重新生效。", "The policy counts again at once.";
    lift: "取消", "Lift";
    gates: "暂停的功能", "Paused features";
    no_gates: "没有暂停的功能。", "No feature is paused.";
    pause_title: "暂停功能", "Pause a feature";
    pause_about: "暂停期间不会扣款：到来的续费和充值会被保留，恢复后按限速依次执行，每笔仍受资金规则约束。", "Nothing is charged while it is paused: renewals and top-ups that come are kept, and released at a bounded rate once it is resumed, each still under the money rules.";
    pause: "暂停", "Pause";
    resume_title: "恢复功能", "Resume a feature";
    resume_about: "保留的扣款将按限速依次执行。", "What was kept is released at a bounded rate.";
    resume: "恢复", "Resume";
    policy: "自动策略", "the policy";
    runbook: "处置预案", "runbook";
    // Audit
    who: "操作人", "Who";
    act: "操作", "Act";
    contains: "包含文字", "With the words";
    times: "时间", "When";
    filter: "筛选", "Filter";
    // Roles
    role_viewer: "查看", "viewer";
}

names! {
    /// A room's name.
    room(Room) {
        Room::Overview => "总览", "Overview";
        Room::Channels => "支付通道", "Channels";
        Room::Payments => "支付单", "Payments";
        Room::Ladder => "降级与开关", "Ladder and features";
        Room::Audit => "审计日志", "Audit log";
    }
    /// A role's name.
    role(Role) {
        Role::Viewer => "只读", "viewer";
        Role::Operator => "运维", "operator";
        Role::Approver => "审批", "approver";
    }
    /// A level's name.
    level_name(Level) {
        Level::Normal => "正常", "normal";
        Level::Rerouted => "静默切换", "rerouted silently";
        Level::OtherMethod => "提供其他方式", "another method offered";
        Level::Transfer => "提供银行转账", "bank transfer offered";
        Level::Held => "保留订单，稍后付款", "order held, pay later";
        Level::Assisted => "人工协助", "staff-assisted";
    }
    /// A status in words.
    status_name(Status) {
        Status::Processing => "处理中", "processing";
        Status::RequiresCustomer => "等待顾客付款", "waiting for the customer";
        Status::Confirming => "结果确认中", "being confirmed";
        Status::Unavailable => "暂无可用通道", "nothing takes it";
        Status::Held => "订单已保留", "kept, to be paid later";
        Status::Paused => "功能暂停，已保留", "kept while its feature is paused";
        Status::Cancelling => "取消中", "being cancelled";
        Status::Expiring => "到期处理中", "being expired";
        Status::Paid => "已支付", "paid";
        Status::PartiallyRefunded => "部分退款", "partly refunded";
        Status::Refunded => "已退款", "refunded";
        Status::Declined => "被拒", "declined";
        Status::Cancelled => "已取消", "cancelled";
        Status::Expired => "已过期", "expired";
    }
    /// Why a person should look at a payment.
    review_name(Review) {
        Review::StillUnknown => "结果长时间未知", "its result has been unknown for long";
        Review::WrongAmount => "服务商金额不符", "the provider states another amount";
        Review::RefundStuck => "退款未能完成", "a refund does not get through";
        Review::RefundByHand => "退款须由人工办理", "a refund is to be made by hand";
        Review::MoneyReversed => "银行撤回了款项", "the bank took money back";
    }
    /// Where an attempt stands.
    attempt_state(&AttemptState) {
        AttemptState::InFlight => "已发出，等待答复", "sent, no answer yet";
        AttemptState::Presented { .. } => "已展示给顾客", "shown to the customer";
        AttemptState::Unknown { .. } => "结果未知，正在查询", "unknown, being asked about";
        AttemptState::Closing { .. } => "正在关闭", "being closed";
        AttemptState::Closed { .. } => "已关闭，未付款", "closed, not paid";
        AttemptState::Declined { .. } => "被拒", "declined";
        AttemptState::Failed { .. } => "失败，确定未扣款", "failed, surely not charged";
        AttemptState::Paid { .. } => "已支付", "paid";
    }
    /// How it is known that nobody can pay an attempt.
    proof(Proof) {
        Proof::Provider => "服务商已确认", "the provider said so";
        Proof::Lapsed => "订单已过期且服务商查无此单", "its own end has passed, and the provider does not know it";
    }
    /// How a success was learned.
    source(Source) {
        Source::Answer => "调用答复", "the answer to our call";
        Source::Notification => "服务商通知", "the provider's notification";
        Source::Query => "我方查询", "a question of ours";
        Source::Close => "关单答复", "the answer to a close";
        Source::Staff => "员工登记", "our staff";
        Source::Statement => "对账单", "the provider's statement";
    }
    /// Why money goes back.
    refund_reason(RefundReason) {
        RefundReason::Merchant => "商户申请", "asked by the merchant";
        RefundReason::Duplicate => "重复支付，自动退款", "a second success, given back by itself";
        RefundReason::Synthetic => "合成支付，自动退回", "a trial, given back by itself";
        RefundReason::Late => "结束后到账，自动退款", "paid after its end, given back by itself";
    }
    /// How a hold ended.
    hold_end(HoldEnd) {
        HoldEnd::Paid => "已支付", "paid";
        HoldEnd::Cancelled => "已取消", "cancelled";
        HoldEnd::Expired => "已过期", "expired";
    }
    /// Why a customer is reminded.
    reminder(Reminder) {
        Reminder::Recovered => "现在可以付款", "it can be paid now";
        Reminder::ExpiresSoon => "即将到期", "it ends soon";
    }
    /// Who moves the money.
    flow(Flow) {
        Flow::Presented => "顾客操作付款", "the customer pays a code or link";
        Flow::Direct => "直接扣款", "charged directly";
    }
}

impl Words {
    /// The name of a state of health, by the name that the API uses.
    pub fn health(&self, name: &str) -> String {
        let (zh, en) = match name {
            "healthy" => ("正常", "healthy"),
            "suspect" => ("可疑", "suspect"),
            "down" => ("故障", "down"),
            "probing" => ("探测恢复中", "probing"),
            "ramping" => ("逐步恢复中", "coming back"),
            other => (other, other),
        };
        self.pick(zh, en).to_owned()
    }

    /// Why a merchant collects.
    pub fn purpose_name(&self, purpose: &Purpose) -> String {
        let (zh, en) = match purpose {
            Purpose::Checkout => ("结账", "checkout"),
            Purpose::Renewal => ("自动续费", "renewals"),
            Purpose::TopUp => ("自动充值", "top-ups"),
            Purpose::Instalment => ("分期付款", "instalments"),
            Purpose::Synthetic => ("合成支付（探测）", "synthetic (a trial)"),
            Purpose::Named(name) => (name.as_str(), name.as_str()),
        };
        self.pick(zh, en).to_owned()
    }

    /// What is wrong with a channel, by the name that the API uses.
    pub fn cause(&self, name: &str) -> String {
        let (zh, en) = match name {
            "technical" => ("调用失败", "calls fail"),
            "refused" => (
                "服务商连续拒绝我方请求（密钥、证书或参数）",
                "the provider refuses our requests (key, certificate or parameter)",
            ),
            "approval" => ("支付成功的比例远低于平时", "far fewer payments than usual are paid"),
            "hang" => ("调用没有答复", "calls are not answered"),
            "conversion" => ("二维码无人能付", "codes are shown and nobody can pay"),
            "maintenance" => ("服务商维护", "the provider is away for maintenance"),
            other => (other, other),
        };
        self.pick(zh, en).to_owned()
    }

    /// The text in this language.
    pub fn pick<T>(&self, zh: T, en: T) -> T {
        match self.0 {
            Locale::Zh => zh,
            Locale::En => en,
        }
    }
}
