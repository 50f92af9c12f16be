//! Errors as RFC 9457 problems, each with a page that says what to do about it.
//!
//! A handler returns a [`Problem`]; [`crate::pipeline`] writes it out with the request's id
//! and counts it. The texts here never hold what the client sent, so that no secret, contact
//! or token comes back in an error or gets into a log (rule 13).

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

/// A kind of problem. Its `slug` ends the `type` URI and labels the metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Ends the `type` URI `/problems/{slug}`.
    pub slug: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// A few words.
    pub title: &'static str,
    /// The same in Chinese.
    pub title_zh: &'static str,
    /// What to do about it.
    pub advice: &'static str,
    /// The same in Chinese.
    pub advice_zh: &'static str,
}

macro_rules! kinds {
    ($($name:ident = $slug:literal $status:literal
        $title:literal / $title_zh:literal
        $advice:literal / $advice_zh:literal;)*) => {
        $(
            #[doc = $title]
            pub const $name: Kind = Kind {
                slug: $slug, status: $status, title: $title, title_zh: $title_zh,
                advice: $advice, advice_zh: $advice_zh,
            };
        )*
        /// Every kind, in the order of the index page.
        pub const ALL: &[&Kind] = &[$(&$name),*];
    };
}

/// The kinds of problems that the API knows.
pub mod kinds {
    use super::Kind;

    kinds! {
        MALFORMED_JSON = "malformed-json" 400
            "The body is not valid JSON" / "请求体不是有效的 JSON"
            "Send one JSON object in UTF-8. The detail names the line and column of the first mistake; a name that occurs twice in an object is a mistake too, because it is not clear which one counts."
            / "请发送一个 UTF-8 编码的 JSON 对象。detail 中给出第一处错误的行号和列号；同一对象中重复出现的字段名也视为错误，因为无法判断以哪个为准。";
        INVALID_REQUEST = "invalid-request" 422
            "The request breaks a rule" / "请求不符合规则"
            "Every mistake of the request is listed in `errors`, each with the field, the rule it breaks and how to mend it. Nothing was done; mend them all and send the request again with the same Idempotency-Key."
            / "请求中的每一处错误都列在 errors 中，包含字段、违反的规则和修改方法。系统未做任何处理；全部改正后，可用同一个 Idempotency-Key 重新发送。";
        UNSUPPORTED_CONTENT_TYPE = "unsupported-content-type" 415
            "The body's type is not JSON" / "请求体类型不是 JSON"
            "Send the header `Content-Type: application/json`." / "请设置请求头 Content-Type: application/json。";
        BODY_TOO_LARGE = "body-too-large" 413
            "The body is too large" / "请求体过大"
            "Send less. Metadata is for short notes; keep large things in your own books and send a reference."
            / "请减小请求体。metadata 只用于简短备注；大段内容请保存在自己的系统中，只发送引用。";
        BODY_TIMEOUT = "body-timeout" 408
            "The body did not arrive in time" / "请求体未在规定时间内到达"
            "The connection is too slow or was interrupted. Nothing was done; send the request again."
            / "连接过慢或已中断。系统未做任何处理，请重新发送。";
        UNAUTHORIZED = "unauthorized" 401
            "A valid API key is missing" / "缺少有效的 API 密钥"
            "Send `Authorization: Bearer evk_...` with a key that is listed in the server's configuration. Keys are stored hashed: a lost key cannot be read back, make a new one."
            / "请使用服务器配置中登记的密钥发送 Authorization: Bearer evk_...。密钥只以哈希保存，丢失后无法找回，请重新生成。";
        FORBIDDEN = "forbidden" 403
            "This API key may not do that" / "该 API 密钥没有此权限"
            "Controls, the audit log and other merchants' payments need a key of the role `operator`; making payments needs a key that belongs to a merchant."
            / "通道控制、审计日志和其他商户的支付单需要 operator 角色的密钥；创建支付单需要属于某个商户的密钥。";
        NOT_FOUND = "not-found" 404
            "There is nothing here" / "资源不存在"
            "Check the address, and that the payment belongs to the merchant of your API key. The paths are listed on /docs."
            / "请检查地址，并确认该支付单属于此 API 密钥的商户。所有路径见 /docs。";
        METHOD_NOT_ALLOWED = "method-not-allowed" 405
            "This address does not take that HTTP method" / "该地址不支持此 HTTP 方法"
            "The header `Allow` lists the methods that it takes." / "响应头 Allow 列出了支持的方法。";
        ORDER_CONFLICT = "order-conflict" 409
            "The order number belongs to another payment" / "订单号已属于另一笔支付单"
            "One order number is one payment for ever. Ask for the payment that is named in the detail; if the order really changed, cancel that payment and use a new order number."
            / "一个订单号只对应一笔支付单。请查询 detail 中的支付单；如果订单确实有变，请取消该支付单并使用新的订单号。";
        KEY_REUSED = "idempotency-key-reused" 422
            "The Idempotency-Key was used with another request" / "Idempotency-Key 已用于另一个请求"
            "Use a fresh key for every new wish, and the same key only to repeat the very same request."
            / "每个新请求请使用新的键，只有重复完全相同的请求时才使用同一个键。";
        NO_CHANNEL = "no-channel" 422
            "No channel takes this payment" / "没有可受理该支付的通道"
            "No configured channel takes any of the methods in this currency and amount. Look at GET /v1/channels or ask the operator of this server."
            / "没有任何已配置的通道支持该支付方式、币种和金额的组合。请查看 GET /v1/channels 或联系本服务的运维人员。";
        WRONG_STATE = "wrong-state" 409
            "It is not in a state in which that can be done" / "当前状态不允许此操作"
            "Somebody was faster, or it is done already. The detail says how it stands; look at it again."
            / "可能已被他人处理或已经完成。detail 给出当前状态，请重新查看。";
        SECOND_PERSON = "second-person" 403
            "A second person has to do this" / "需要由第二个人完成"
            "Whatever moves money by hand takes two people: whoever proposed or sent it may not agree to it. Use another operator's key, or reject the proposal."
            / "人工处理资金需要两个人：提出或发出的人不能自己批准。请使用另一位运维人员的密钥，或撤销该提议。";
        FEATURE_PAUSED = "feature-paused" 409
            "The feature is paused" / "该功能已暂停"
            "Renewals, top-ups or another purpose were paused so that nobody is charged by mistake. What you have sent is kept and goes on by itself when the pause is over; you may cancel it meanwhile. GET /v1/ladder says until when."
            / "自动续费、充值等功能已被暂停，以免误扣款。您提交的支付单已保留，暂停结束后会自动继续，期间可以取消。GET /v1/ladder 给出暂停的截止时间。";
        BEYOND_LIMIT = "beyond-limit" 422
            "More than may be taken outside a channel" / "超出线下收款的限额"
            "The configuration's section `assist` limits how large a payment staff may take outside any channel, and how much one person may take in 24 hours. The detail names the limit. Send the payment to a channel instead, or have the limit changed by whoever keeps the configuration."
            / "配置的 assist 一节限制了单笔线下收款的金额，以及一名员工 24 小时内的收款总额，detail 中写明了具体限额。请改用其他通道收款，或由配置管理人员调整限额。";
        REFERENCE_TAKEN = "reference-taken" 409
            "This slip pays another payment already" / "该凭证已用于另一笔支付单"
            "Each till slip, terminal receipt or cheque pays one payment. The detail names the payment that has it; look whether the number was typed wrongly, or the money was recorded twice."
            / "每张小票、POS 签购单或支票只能用于一笔支付单。detail 中写明了已使用该凭证的支付单；请核对号码是否输错，或款项是否重复登记。";
        CHANNEL_NOT_FOUND = "channel-not-found" 404
            "There is no channel of this name" / "通道不存在"
            "GET /v1/channels lists the channels by their names." / "GET /v1/channels 列出所有通道名称。";
        PAYMENT_ENDED = "payment-ended" 409
            "The payment has ended" / "支付单已结束"
            "It is paid, declined, cancelled or expired, or is just being ended. Ask for the payment to see which; to collect again, make a new payment under a new order number."
            / "支付单已支付、被拒绝、已取消、已过期或正在结束。请查询支付单状态；如需再次收款，请使用新的订单号创建支付单。";
        BEING_CONFIRMED = "being-confirmed" 409
            "A charge may have happened and is being confirmed" / "可能已扣款，正在确认"
            "Do not charge again: the provider is being asked, and the payment changes its status by itself. Wait for the webhook or ask for the payment."
            / "请勿重复扣款：系统正在向支付服务商查询，支付单状态会自动更新。请等待通知或查询支付单。";
        PAYMENT_BUSY = "payment-busy" 409
            "The payment is being worked on" / "支付单正在处理中"
            "Another request or a worker changes this payment right now. Nothing was done; try again after the seconds in Retry-After."
            / "另一个请求或后台任务正在处理该支付单。系统未做任何处理，请在 Retry-After 秒后重试。";
        TOO_MANY = "too-many" 409
            "The payment has had as many attempts or refunds as it may have" / "支付尝试或退款次数已达上限"
            "Make a new payment under a new order number, or refund the rest in one go at the provider's console."
            / "请使用新的订单号创建支付单，或在服务商后台一次性退回余额。";
        NOTHING_TO_REFUND = "nothing-to-refund" 409
            "The payment is not paid" / "支付单尚未支付，无可退款"
            "Only a paid payment can be refunded. Cancel an unpaid one instead."
            / "只有已支付的支付单才能退款；未支付的请取消。";
        REFUND_TOO_MUCH = "refund-too-much" 422
            "More than can still be refunded" / "退款金额超过可退余额"
            "Refunds never exceed what was captured. `refundable_amount` of the payment says what is left; refunds under way count as taken."
            / "退款总额不能超过已收金额。支付单的 refundable_amount 为可退余额，处理中的退款已计入。";
        REFUND_BEYOND_CHANNEL = "refund-beyond-channel" 422
            "The payment's provider would not take this refund" / "该支付单的服务商不受理此退款"
            "The channel that took the money has a limit: how long after the payment, how many refunds, how small, or the whole only. `errors` names it with the way out. Nothing was sent. `GET /v1/channels?capabilities=true` lists every channel's limits."
            / "收款通道对退款有限制：支付后的时限、次数、最小金额或只能全额。errors 中写明了是哪一项以及解决办法。系统未向服务商发送任何请求。各通道的限制见 GET /v1/channels?capabilities=true。";
        CONFIG_CONFLICT = "config-conflict" 409
            "The configuration cannot be changed now" / "目前无法更改配置"
            "Another version is in force than the one you started from, or another change is being tried. Compare again with POST /v1/config/diff, or wait for the change that GET /v1/config shows, or end it with POST /v1/config/rollback."
            / "当前生效的版本与您修改时依据的版本不同，或另一项变更正在试行。请用 POST /v1/config/diff 重新比较，或等待 GET /v1/config 所示的变更结束，或用 POST /v1/config/rollback 将其终止。";
        OVERLOADED = "overloaded" 503
            "Too many requests at once" / "并发请求过多"
            "Nothing was done. Try again after the seconds in Retry-After, with the same Idempotency-Key."
            / "系统未做任何处理。请在 Retry-After 秒后使用同一个 Idempotency-Key 重试。";
        STORE_FULL = "store-full" 503
            "The store cannot be written" / "存储无法写入"
            "The disk is full or read-only, so nothing can be promised. Operators: free space and look at /readyz. Merchants: try again later with the same Idempotency-Key."
            / "磁盘已满或只读，系统无法保证任何操作。运维人员请释放空间并查看 /readyz；商户请稍后使用同一个 Idempotency-Key 重试。";
        STORE_UNAVAILABLE = "store-unavailable" 503
            "The store did not answer" / "存储无响应"
            "Nothing was done. Try again with the same Idempotency-Key. Operators: /readyz and the log say what is wrong."
            / "系统未做任何处理，请使用同一个 Idempotency-Key 重试。运维人员请查看 /readyz 和日志。";
        STORE_UNUSABLE = "store-unusable" 503
            "The store cannot be used" / "存储不可用"
            "The store is damaged, or was made by a newer Evergate. Operators: install the newer version, or restore a backup; the log says which."
            / "存储已损坏，或由更新版本的 Evergate 创建。运维人员请安装新版本或恢复备份，详情见日志。";
        COMMIT_UNKNOWN = "commit-unknown" 503
            "It is not known whether the store kept this" / "无法确认存储是否已写入"
            "It may have been done. Send the very same request again with the same Idempotency-Key: it gives the same payment, however often it is sent."
            / "操作可能已完成。请使用同一个 Idempotency-Key 重新发送完全相同的请求，无论发送多少次都只会得到同一笔支付单。";
        REQUEST_TIMEOUT = "request-timeout" 504
            "The answer takes longer than allowed" / "处理超时"
            "The work goes on behind the scenes and is not lost. Ask for the payment by its order number, or send the very same request again with the same Idempotency-Key."
            / "操作仍在后台继续，不会丢失。请按订单号查询支付单，或使用同一个 Idempotency-Key 重新发送完全相同的请求。";
        INTERNAL = "internal" 500
            "Evergate made a mistake" / "Evergate 内部错误"
            "It may have been done: ask for the payment by its order number before you repeat this. Report it with the request_id."
            / "操作可能已完成：重试前请先按订单号查询支付单，并附上 request_id 反馈问题。";
    }

    /// The kind of this slug.
    pub fn of(slug: &str) -> Option<&'static Kind> {
        ALL.iter().copied().find(|kind| kind.slug == slug)
    }
}

/// One mistake in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Mistake {
    /// Where: a field such as `methods[1]`, a query parameter or a header.
    pub(crate) field: String,
    /// The rule that it breaks.
    pub(crate) rule: String,
    /// How to mend it.
    pub(crate) fix: String,
    /// The line of a text that was sent, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    /// The column, from 1, in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<usize>,
}

impl Mistake {
    /// A mistake.
    pub(crate) fn new(
        field: impl Into<String>,
        rule: impl Into<String>,
        fix: impl Into<String>,
    ) -> Mistake {
        let (field, rule, fix) = (field.into(), rule.into(), fix.into());
        Mistake { field, rule, fix, line: None, column: None }
    }

    /// The same with its place in a text; line 0 is no place.
    pub(crate) fn placed(self, line: usize, column: usize) -> Mistake {
        let place = (line > 0).then_some((line, column));
        Mistake { line: place.map(|p| p.0), column: place.map(|p| p.1), ..self }
    }
}

/// A refusal on its way to the client.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) kind: &'static Kind,
    detail: String,
    mistakes: Vec<Mistake>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem with a sentence about this occurrence; must not repeat what the client sent.
    pub(crate) fn new(kind: &'static Kind, detail: impl Into<String>) -> Problem {
        Problem { kind, detail: detail.into(), mistakes: Vec::new(), headers: Vec::new() }
    }

    /// All mistakes of one request.
    pub(crate) fn mistakes(mistakes: Vec<Mistake>) -> Problem {
        let detail = match mistakes.as_slice() {
            [one] => format!("{}: {}", one.field, one.rule),
            many => format!("{} mistakes; each is listed in errors", many.len()),
        };
        Problem { mistakes, ..Problem::new(&kinds::INVALID_REQUEST, detail) }
    }

    /// The same with one mistake pointed out.
    pub(crate) fn at(
        mut self,
        field: &str,
        rule: impl Into<String>,
        fix: impl Into<String>,
    ) -> Problem {
        self.mistakes.push(Mistake::new(field, rule, fix));
        self
    }

    /// The same with a header.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Problem {
        self.headers.push((name, value));
        self
    }

    /// The same with the advice to come back after some seconds.
    pub(crate) fn retry_after(self, seconds: u32) -> Problem {
        self.with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// The document that the client gets.
    pub(crate) fn document(&self, request_id: &str) -> ProblemDocument {
        let first = self.mistakes.first();
        ProblemDocument {
            r#type: format!("/problems/{}", self.kind.slug),
            title: self.kind.title.to_owned(),
            status: self.kind.status,
            detail: self.detail.clone(),
            field: first.map(|m| m.field.clone()),
            rule: first.map(|m| m.rule.clone()),
            fix: first.map_or_else(|| self.kind.advice.to_owned(), |m| m.fix.clone()),
            errors: self.mistakes.clone(),
            request_id: request_id.to_owned(),
        }
    }

    /// Every mistake in one line, for a command line.
    pub(crate) fn in_one_line(&self) -> String {
        let told = self.mistakes.iter().map(|m| format!("{} {}: {}", m.field, m.rule, m.fix));
        let told: Vec<String> = told.collect();
        if told.is_empty() { self.detail.clone() } else { told.join("; ") }
    }

    /// The response with its body.
    pub(crate) fn write(&self, request_id: &str) -> Response {
        let body = serde_json::to_vec(&self.document(request_id)).unwrap_or_default();
        let mut response = (
            self.status(),
            [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))],
            body,
        )
            .into_response();
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Hands the problem to the pipeline, which knows the request's id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A problem as it is sent (RFC 9457, `application/problem+json`).
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    /// A page of this server that says what to do, such as `/problems/order-conflict`.
    pub(crate) r#type: String,
    /// A few words about the kind.
    pub(crate) title: String,
    /// The HTTP status again.
    #[schema(minimum = 400, maximum = 599)]
    pub(crate) status: u16,
    /// A sentence about this occurrence.
    pub(crate) detail: String,
    /// The first mistake's place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    /// The rule that it breaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<String>,
    /// What to do about it.
    pub(crate) fix: String,
    /// All mistakes of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<Mistake>,
    /// Names the request in the server's log.
    pub(crate) request_id: String,
}
