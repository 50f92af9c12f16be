//! Every word of the console, in both languages.

use domain::{Level, Locale};

use super::{Role, Room};

#[derive(Clone, Copy)]
pub(super) struct Words(pub(super) Locale);

crate::words::sentences! {
    lang: "zh-CN", "en";
    rooms: "页面", "Rooms";
    skip: "跳到内容", "Skip to content";
    sign_in: "登录", "Sign in";
    sign_out: "退出", "Sign out";
    name: "用户名", "Name";
    password: "密码", "Password";
    wrong_password: "用户名或密码不正确。", "Name or password is not right.";
    other_language: "English", "中文";
    other_locale: "en", "zh";
    live: "实时", "live";
    stale: "连接中断，数据不是最新", "not connected, figures are old";
    nothing_here: "没有内容。", "Nothing here.";
    needs_script: "图表需要 JavaScript；下表同样说明情况。", "Charts need JavaScript; the table below says the same.";
    success_rate: "技术成功率", "Technical success";
    traffic: "调用量", "Calls";
    latency: "延迟 p95", "Latency p95";
    unknowns: "结果未知", "Unknown results";
    take_out: "停用通道", "Take a channel out of service";
    channel: "通道", "Channel";
    channels: "支付通道", "Channels";
    method: "支付方式", "Method";
    all: "全部", "All";
    until: "持续时间", "For";
    reason: "原因", "Reason";
    disable: "停用", "Disable";
    order_or_id: "订单号或支付单号", "Order number or payment id";
    status: "状态", "Status";
    search: "搜索", "Search";
    older: "更早的", "Older";
    attempts: "支付尝试", "Attempts";
    refunds: "退款", "Refunds";
    story: "经过", "Story";
    reach: "范围", "For whom";
    level: "级别", "Level";
    move_level: "调整级别", "Move";
    gates: "功能开关", "Features";
    purpose: "功能", "Feature";
    pause: "暂停", "Pause";
    resume: "恢复", "Resume";
}

impl Words {
    pub(super) fn room(&self, room: &Room) -> &'static str {
        match (room, self.0) {
            (Room::Overview, Locale::Zh) => "总览",
            (Room::Overview, Locale::En) => "Overview",
            (Room::Channels, Locale::Zh) => "支付通道",
            (Room::Channels, Locale::En) => "Channels",
            (Room::Payments, Locale::Zh) => "支付单",
            (Room::Payments, Locale::En) => "Payments",
            (Room::Ladder, Locale::Zh) => "降级与开关",
            (Room::Ladder, Locale::En) => "Ladder and features",
            (Room::Audit, Locale::Zh) => "审计日志",
            (Room::Audit, Locale::En) => "Audit log",
        }
    }

    pub(super) fn role(&self, role: &Role) -> &'static str {
        match (role, self.0) {
            (Role::Viewer, Locale::Zh) => "查看",
            (Role::Viewer, Locale::En) => "viewer",
            (Role::Operator, Locale::Zh) => "操作",
            (Role::Operator, Locale::En) => "operator",
            (Role::Approver, Locale::Zh) => "审批",
            (Role::Approver, Locale::En) => "approver",
        }
    }

    pub(super) fn level_name(&self, level: &Level) -> &'static str {
        match (level, self.0) {
            (Level::Normal, Locale::Zh) => "正常",
            (Level::Normal, Locale::En) => "normal",
            (Level::Rerouted, Locale::Zh) => "静默切换",
            (Level::Rerouted, Locale::En) => "rerouted silently",
            (Level::OtherMethod, Locale::Zh) => "提供其他方式",
            (Level::OtherMethod, Locale::En) => "another method offered",
            (Level::Transfer, Locale::Zh) => "提供银行转账",
            (Level::Transfer, Locale::En) => "bank transfer offered",
            (Level::Held, Locale::Zh) => "保留订单",
            (Level::Held, Locale::En) => "order held, pay later",
            (Level::Assisted, Locale::Zh) => "人工协助",
            (Level::Assisted, Locale::En) => "staff-assisted",
        }
    }
}
