//! The command line: what can be asked, each with its help.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::lang::Lang;

/// Evergate keeps payments flowing when a payment gateway fails, and puts the books right
/// afterwards.
#[derive(Debug, Parser)]
#[command(name = "evergate", version, about, max_term_width = 100)]
pub struct Cli {
    /// Language of what people read; from LC_ALL, LC_MESSAGES or LANG when absent.
    #[arg(long, global = true, value_enum)]
    pub lang: Option<Lang>,
    /// Print one JSON object on one line instead of text for people.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What Evergate can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show it all on this machine: traffic, an outage, and the books afterwards.
    Demo(DemoArgs),
    /// Run the gateway.
    Serve(ServeArgs),
    /// Run the fake providers alone, and write a configuration that works against them.
    Sandbox(SandboxArgs),
    /// Say what is wrong with a configuration before it hurts.
    Check(CheckArgs),
    /// Look at payments of a running gateway, cancel them, give money back.
    #[command(subcommand)]
    Payments(PaymentsCommand),
    /// Look at channels of a running gateway; take one out of service and put it back, or put it
    /// first.
    #[command(subcommand)]
    Channels(ChannelsCommand),
    /// Ask where a payment would go, and why.
    #[command(subcommand)]
    Route(RouteCommand),
    /// Look at the degradation ladder of a running gateway; move a level by hand, lift it.
    #[command(subcommand)]
    Ladder(LadderCommand),
    /// Pause renewals, top-ups and other features of a running gateway, and let them go on.
    #[command(subcommand)]
    Features(FeaturesCommand),
    /// Look at planned absences of a running gateway; state one, take one back.
    #[command(subcommand)]
    Maintenance(MaintenanceCommand),
    /// See what a running gateway knows of its channels: probes, synthetic payments, what
    /// providers say, planned absences.
    Signals {
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Look at providers layer by layer: DNS, TCP, TLS, HTTP, and a signed question.
    Probe(ProbeArgs),
    /// Help with single payments at the VIP desk: take a case, send it to a channel, record money
    /// that was taken by hand.
    #[command(subcommand)]
    Assist(crate::assist_args::AssistCommand),
    /// Look after bank transfers: statements, suspense, payouts.
    #[command(subcommand)]
    Bank(crate::bank_args::BankCommand),
    /// Look at messages to merchants; send one again.
    #[command(subcommand)]
    Messages(MessagesCommand),
    /// Look at notes to customers; send one again; try the mail server.
    #[command(subcommand)]
    Notes(NotesCommand),
    /// Fetch what a provider says that it settled, without a running gateway.
    #[command(subcommand)]
    Statements(StatementsCommand),
    /// Make passwords of people for the console.
    #[command(subcommand)]
    Operators(OperatorsCommand),
    /// Make API keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Print the reference; compare, change and roll back the configuration of a running gateway.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the OpenAPI document of the HTTP API.
    Openapi,
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

const DEMO_HELP: &str = "\
What the report counts:
  lost            captured at a provider, but in our books neither what paid the payment nor given
                  back in full; or a shopper who wanted to pay, tried twice more, and still could
                  not, although a channel that takes one of the shopper's methods had no fault
                  switched on at the end of each try
  charged_twice   payments with more than one captured order at the providers that was not given
                  back in full
  unknown         payments whose effect at a provider is still not known, or whose close or refund
                  has not ended, when the settling time is over
  watched         (in --json) shown orders that their provider answered to know nothing of; they
                  are unpaid then, are asked about until they cannot be paid any more, and are
                  not counted as unknown
  mismatches      provider orders and refunds whose state or amount differs between our books and
                  the sandbox's own, compared by the provider order number
  rerouted        payments that went to another channel than the preferred one because that was
                  down, had just failed, or is closed to the customer's bank
  added latency   a shopper's create request as the client measured it, minus the time that its
                  calls to providers took, measured around the driver in the same process

Exit code: 0 when nothing is lost, charged twice, unknown or mismatched; 1 otherwise.";

/// Options of `evergate demo`.
#[derive(Clone, Debug, Args)]
#[command(after_help = DEMO_HELP)]
pub struct DemoArgs {
    /// Decides every shopper and every fault's dice.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// New payments a second, on average.
    #[arg(long, default_value_t = 50.0, value_parser = rate)]
    pub rate: f64,
    /// How long shoppers come, such as `30s` or `2m`.
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub duration: Duration,
    /// A scenario of the sandbox by name (see `--list`), or a file of your own; it is stretched to
    /// the duration.
    #[arg(long, default_value = "alipay-outage")]
    pub scenario: String,
    /// List the scenarios and what happens in them, and do nothing else.
    #[arg(long)]
    pub list: bool,
    /// Keep serving after the report, and print commands to try.
    #[arg(long)]
    pub keep: bool,
    /// No colours, and one line a second instead of a live block.
    #[arg(long)]
    pub no_color: bool,
    /// Keep the store in this folder instead of a temporary one.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The gateway's port on 127.0.0.1; a free one when absent.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
}

/// Options of `evergate serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// The configuration file.
    #[arg(long, short, env = "EVERGATE_CONFIG", default_value = "evergate.toml")]
    pub config: PathBuf,
}

/// Options of `evergate sandbox`.
#[derive(Clone, Debug, Args)]
pub struct SandboxArgs {
    /// Where the fake providers listen.
    #[arg(long, default_value = "127.0.0.1:9090")]
    pub bind: SocketAddr,
    /// Decides account numbers and the dice of faults.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Writes accounts, keys and a ready evergate.toml here; a second run uses the same accounts.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The address that the written configuration serves the gateway on.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub gateway: SocketAddr,
    /// A second account at this provider (alipay, wechatpay, stripe, unionpay, paypal), with keys
    /// of its own and named like `alipay-spare`. Can be given several times.
    #[arg(long, value_name = "PROVIDER")]
    pub spare: Vec<sandbox::ProviderKind>,
    /// Where the written configuration sends merchant webhooks.
    #[arg(long, value_name = "URL")]
    pub webhook: Option<String>,
    /// Plays a scenario from the start: a name or a file.
    #[arg(long)]
    pub scenario: Option<String>,
    /// Factor on the providers' own waits (resends, refunds); 0.1 is ten times faster.
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    pub time_scale: f64,
    /// Replace the files that are in DIR.
    #[arg(long)]
    pub force: bool,
}

const CHECK_HELP: &str = "\
Exit codes, for a deploy pipeline:
  0  everything is good
  1  warnings only: a certificate ends within 30 days, the clock is off by more than 30 seconds
  2  errors: the gateway would not start, or a channel would not take payments

With --warnings-ok, warnings alone exit with 0.";

/// Options of `evergate check`.
#[derive(Clone, Debug, Args)]
#[command(after_help = CHECK_HELP)]
pub struct CheckArgs {
    /// The configuration file.
    #[arg(long, short, env = "EVERGATE_CONFIG", default_value = "evergate.toml")]
    pub config: PathBuf,
    /// Ask nothing of any provider.
    #[arg(long)]
    pub offline: bool,
    /// Exit with 0 when there are warnings only.
    #[arg(long)]
    pub warnings_ok: bool,
}

/// Which server to talk to, and as whom.
#[derive(Clone, Debug, Args)]
pub struct ServerArgs {
    /// The running gateway.
    #[arg(long, env = "EVERGATE_URL", default_value = "http://127.0.0.1:8080")]
    pub server: String,
    /// An API key's secret; better given in the environment.
    #[arg(long, env = "EVERGATE_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
}

/// `evergate payments …`
#[derive(Debug, Subcommand)]
pub enum PaymentsCommand {
    /// Show one payment with its attempts, refunds and story.
    Show {
        /// `pay_…`
        id: String,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List payments, newest first.
    List {
        /// Which payments.
        #[command(flatten)]
        filter: PaymentFilter,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Cancel a payment: close what may still be paid, then end it.
    Cancel {
        /// `pay_…`
        id: String,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Keep an order, to be paid later through its link.
    Hold {
        /// `pay_…`
        id: String,
        /// For how long; the configured time when absent.
        #[command(flatten)]
        end: EndArgs,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Keep a held order for longer.
    Extend {
        /// `pay_…`
        id: String,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: String,
        /// Until when; required.
        #[command(flatten)]
        end: EndArgs,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Give money back, in part or whole.
    Refund {
        /// `pay_…`
        id: String,
        /// Minor units (fen, cents); all that is left when absent.
        #[arg(long)]
        amount: Option<i64>,
        /// For the statement, where the provider shows it.
        #[arg(long)]
        reason: Option<String>,
        /// The same key again does not refund again; a fresh one when absent.
        #[arg(long)]
        idempotency_key: Option<String>,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// `evergate ladder …`
#[derive(Debug, Subcommand)]
pub enum LadderCommand {
    /// Levels, what customers may know of each method, and paused features.
    Show {
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Move a scope to a level until a time; in that scope it counts instead of what health says.
    Move {
        /// `all`, `method:alipay`, `channel:alipay-main` or `purpose:renewal`.
        scope: String,
        /// `normal`, `rerouted`, `other_method`, `transfer`, `held`, `assisted`, or 0 to 5.
        level: String,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: String,
        /// Until when; required.
        #[command(flatten)]
        end: EndArgs,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Take people's word on a scope back; what health says counts again.
    Lift {
        /// `all`, `method:alipay`, `channel:alipay-main` or `purpose:renewal`.
        scope: String,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: String,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// `evergate features …`
#[derive(Debug, Subcommand)]
pub enum FeaturesCommand {
    /// Pause a purpose until a time: what comes is kept and charged afterwards, or cancelled.
    Pause {
        /// `renewal`, `top_up`, `instalment`, `checkout`, or a purpose of your own.
        purpose: String,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: String,
        /// Until when; required: a pause without an end is forgotten.
        #[command(flatten)]
        end: EndArgs,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Let a paused purpose go on; its payments follow at a bounded rate.
    Resume {
        /// The purpose.
        purpose: String,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: String,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// When something ends by itself.
#[derive(Clone, Debug, Args)]
pub struct EndArgs {
    /// For this long, such as `30m`.
    #[arg(long = "for", value_parser = duration, conflicts_with = "until")]
    pub period: Option<Duration>,
    /// Until this moment, RFC 3339.
    #[arg(long)]
    pub until: Option<jiff::Timestamp>,
}

/// Which payments to list.
#[derive(Clone, Debug, Args)]
pub struct PaymentFilter {
    /// With this status, such as `paid` or `requires_customer`.
    #[arg(long)]
    pub status: Option<String>,
    /// With an attempt on this channel.
    #[arg(long)]
    pub channel: Option<String>,
    /// Whose latest attempt used this method.
    #[arg(long)]
    pub method: Option<String>,
    /// With the merchant's order number.
    #[arg(long)]
    pub order: Option<String>,
    /// Of this merchant; for operators.
    #[arg(long)]
    pub merchant: Option<String>,
    /// Only those that wait for a person.
    #[arg(long)]
    pub review: bool,
    /// Only those that Evergate made to try a channel; for operators.
    #[arg(long)]
    pub synthetic: bool,
    /// Continue after this cursor.
    #[arg(long)]
    pub cursor: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 20)]
    pub limit: u32,
}

/// `evergate channels …`
#[derive(Debug, Subcommand)]
pub enum ChannelsCommand {
    /// List channels with their health, or with what they can do.
    List {
        /// Show what each channel can do instead: methods, amounts, expiry, closing, refunds,
        /// numbers.
        #[arg(long)]
        capabilities: bool,
        /// With --capabilities: read this configuration instead of asking a running gateway.
        #[arg(long, value_name = "FILE", requires = "capabilities")]
        config: Option<PathBuf>,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Watch the health of channels as it changes: state, statistic and threshold, last change,
    /// and the newest changes of all. With `--json`: one object a line.
    Watch {
        /// How often to look.
        #[arg(long, default_value = "1s", value_parser = duration)]
        interval: Duration,
        /// Look once and end.
        #[arg(long)]
        once: bool,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Take a channel, or one method of it, out of service.
    Disable {
        /// The channel.
        name: String,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: String,
        /// For this long, such as `30m`.
        #[arg(long = "for", value_parser = duration, conflicts_with = "until")]
        period: Option<Duration>,
        /// Until this moment, RFC 3339.
        #[arg(long)]
        until: Option<jiff::Timestamp>,
        /// Only this method.
        #[arg(long)]
        method: Option<String>,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Put a channel, or one method of it, before all others: rules come after it. Its health
    /// still counts.
    Prefer {
        /// The channel.
        name: String,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: String,
        /// For this long, such as `2h`.
        #[arg(long = "for", value_parser = duration, conflicts_with = "until")]
        period: Option<Duration>,
        /// Until this moment, RFC 3339.
        #[arg(long)]
        until: Option<jiff::Timestamp>,
        /// Only this method.
        #[arg(long)]
        method: Option<String>,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// End the preference for a channel, or for one method of it.
    Release {
        /// The channel.
        name: String,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: String,
        /// Only this method.
        #[arg(long)]
        method: Option<String>,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Put a channel, or one method of it, back into service.
    Enable {
        /// The channel.
        name: String,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: String,
        /// Only this method.
        #[arg(long)]
        method: Option<String>,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// `evergate route …`
#[derive(Debug, Subcommand)]
pub enum RouteCommand {
    /// Where a payment would go now: the order of channels, what is left out and why, and the
    /// rules that hold. Changes nothing.
    Explain(ExplainArgs),
}

/// A payment that might be.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// How much, such as `12.50`.
    #[arg(long)]
    pub amount: String,
    /// ISO 4217.
    #[arg(long, default_value = "CNY")]
    pub currency: String,
    /// What the customer may pay with, the preferred method first; all when absent. Can be
    /// given several times.
    #[arg(long)]
    pub method: Vec<String>,
    /// The customer's bank.
    #[arg(long)]
    pub issuer: Option<String>,
    /// `checkout`, `renewal`, `top_up`, `instalment`, or a purpose of your own.
    #[arg(long)]
    pub purpose: Option<String>,
    /// `standard` or `vip`.
    #[arg(long)]
    pub tier: Option<String>,
    /// The customer's language: `zh` or `en`.
    #[arg(long)]
    pub locale: Option<String>,
    /// A saved card that is charged at once.
    #[arg(long)]
    pub direct: bool,
    /// Who would collect; the key's own merchant when absent.
    #[arg(long)]
    pub merchant: Option<String>,
    /// A note of the merchant's, as `name=value`. Can be given several times.
    #[arg(long)]
    pub metadata: Vec<String>,
    /// The time that rules see, RFC 3339; now when absent.
    #[arg(long)]
    pub at: Option<jiff::Timestamp>,
    /// Ask this configuration instead of a running gateway: every channel is taken for healthy.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// `evergate maintenance …`
#[derive(Debug, Subcommand)]
pub enum MaintenanceCommand {
    /// List planned absences, whoever stated them.
    List {
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// State a planned absence: once (`--from`, `--until` or `--for`), or every week (`--days`,
    /// `--start`, `--for`, `--zone`).
    Add {
        /// What and when.
        #[command(flatten)]
        plan: PlanArgs,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Take a planned absence back that an operator stated.
    Remove {
        /// `mnt_…`
        id: String,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: String,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// A planned absence.
#[derive(Clone, Debug, Args)]
pub struct PlanArgs {
    /// The channel; all when absent.
    #[arg(long)]
    pub channel: Option<String>,
    /// The method; all when absent.
    #[arg(long)]
    pub method: Option<String>,
    /// The bank, by the code that payments carry; all customers when absent.
    #[arg(long)]
    pub issuer: Option<String>,
    /// Once: from this moment, RFC 3339; now when absent.
    #[arg(long, conflicts_with = "days")]
    pub from: Option<jiff::Timestamp>,
    /// Once: until this moment, RFC 3339.
    #[arg(long, conflicts_with_all = ["days", "period"])]
    pub until: Option<jiff::Timestamp>,
    /// For this long, such as `2h`.
    #[arg(long = "for", value_parser = duration)]
    pub period: Option<Duration>,
    /// Weekly: the days on which it begins, such as `sat,sun`.
    #[arg(long, requires_all = ["start", "zone", "period"])]
    pub days: Option<String>,
    /// Weekly: when it begins by the clock of the zone, such as `23:30`.
    #[arg(long, requires = "days")]
    pub start: Option<String>,
    /// Weekly: an IANA time zone or an offset such as `+08:00`.
    #[arg(long, requires = "days")]
    pub zone: Option<String>,
    /// Why; kept in the audit log.
    #[arg(long)]
    pub reason: String,
}

/// Options of `evergate probe`.
#[derive(Clone, Debug, Args)]
pub struct ProbeArgs {
    /// The configuration file.
    #[arg(long, short, env = "EVERGATE_CONFIG", default_value = "evergate.toml")]
    pub config: PathBuf,
    /// Only this channel.
    #[arg(long)]
    pub channel: Option<String>,
}

/// `evergate statements …`
#[derive(Debug, Subcommand)]
pub enum StatementsCommand {
    /// Fetch what a provider settled on a day, verify it, and print its lines and sums: UnionPay.
    Fetch(FetchArgs),
}

/// Options of `evergate statements fetch`.
#[derive(Clone, Debug, Args)]
pub struct FetchArgs {
    /// The configuration file.
    #[arg(long, short, env = "EVERGATE_CONFIG", default_value = "evergate.toml")]
    pub config: PathBuf,
    /// The channel.
    #[arg(long)]
    pub channel: String,
    /// The day that it settles, such as 2026-11-24.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = crate::statements::day)]
    pub day: jiff::civil::Date,
    /// Keep the provider's own file here too; an existing file is not replaced.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `evergate messages …`
#[derive(Debug, Subcommand)]
pub enum MessagesCommand {
    /// List messages to merchants, newest first.
    List {
        /// `pending`, `delivered` or `dead`.
        #[arg(long)]
        state: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Send a message again.
    Resend {
        /// `msg_…`
        id: String,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// `evergate notes …`
#[derive(Debug, Subcommand)]
pub enum NotesCommand {
    /// List notes to customers: of one payment oldest first, or the newest of all.
    List {
        /// `pay_…`
        #[arg(long)]
        payment: Option<String>,
        /// `pending`, `sent`, `suppressed` or `dead`.
        #[arg(long)]
        state: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Send a note again at once, whatever limits and quiet hours say.
    Resend {
        /// `note_…`
        id: String,
        /// Why, for the audit log.
        #[arg(long)]
        reason: String,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Send the customer of a payment a note: an apology, or that staff will get in touch.
    Send {
        /// `pay_…`
        payment: String,
        /// `apology` or `assist`.
        #[arg(long, default_value = "apology")]
        kind: String,
        /// With an apology: a coupon's code, or a sentence in the customer's language.
        #[arg(long)]
        coupon: Option<String>,
        /// Why, for the audit log.
        #[arg(long)]
        reason: String,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Send a test mail by the configured server, without a running gateway.
    Test {
        /// Who gets it.
        #[arg(long)]
        to: String,
        /// The configuration file.
        #[arg(long, short, env = "EVERGATE_CONFIG", default_value = "evergate.toml")]
        config: PathBuf,
    },
}

/// `evergate keys …`
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key: prints its secret once, and the lines for the configuration.
    New {
        /// Whose payments it is for; an operator's key may do without.
        #[arg(long)]
        merchant: Option<String>,
        /// The person or program that holds it, for logs and the audit log. Where two people must
        /// agree, these names tell them apart.
        #[arg(long)]
        name: Option<String>,
        /// What it may do.
        #[arg(long, value_enum, default_value_t = KeyRole::Merchant)]
        role: KeyRole,
    },
}

/// What an API key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyRole {
    /// The payments of its merchant.
    Merchant,
    /// Looks at everything and changes nothing.
    Viewer,
    /// Everything, channels and messages included.
    Operator,
    /// As an operator; and is the second person where one is needed.
    Approver,
}

impl KeyRole {
    /// The name that the configuration uses.
    pub fn name(self) -> &'static str {
        match self {
            KeyRole::Merchant => "merchant",
            KeyRole::Viewer => "viewer",
            KeyRole::Operator => "operator",
            KeyRole::Approver => "approver",
        }
    }
}

/// `evergate operators …`
#[derive(Debug, Subcommand)]
pub enum OperatorsCommand {
    /// Make the lines that let a person sign in to the console. The password is asked for, or
    /// read from the standard input; only its argon2id digest is printed.
    Hash {
        /// What they sign in with; names them in the audit log.
        #[arg(long, default_value = "admin")]
        name: String,
        /// What they may do.
        #[arg(long, value_enum, default_value_t = OperatorRole::Operator)]
        role: OperatorRole,
    },
}

/// What a person at the console may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OperatorRole {
    /// Looks.
    Viewer,
    /// Takes channels out and back, moves levels, pauses features.
    Operator,
    /// As an operator; and is the second person where one is needed.
    Approver,
}

impl OperatorRole {
    /// The name that the configuration uses.
    pub fn name(self) -> &'static str {
        match self {
            OperatorRole::Viewer => "viewer",
            OperatorRole::Operator => "operator",
            OperatorRole::Approver => "approver",
        }
    }
}

/// `evergate config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the reference: every setting with its default and what it does.
    Default,
    /// Have a running gateway read its configuration file and all keys again.
    Reload {
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Compare a file with what a running gateway runs, by meaning; secrets are not shown.
    Diff {
        /// The configuration file.
        file: PathBuf,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Put a file in force on a running gateway, in stages, and follow how it fares.
    Apply(ApplyArgs),
    /// Go back: end what is being tried, or put an earlier version in force again.
    Rollback {
        /// The version; the one before when absent.
        #[arg(long)]
        to: Option<u64>,
        /// Why; kept in the history and the audit log.
        #[arg(long)]
        reason: String,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// See which version is in force, and how one that is tried fares.
    Status {
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List the versions, newest first.
    History {
        /// At most this many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Print one version, without comments and secrets.
    Show {
        /// Its number.
        version: u64,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
}

const APPLY_HELP: &str = "\
Exit codes:
  0  the file is in force, or is still being tried (--detach, Ctrl-C)
  1  it was rolled back
  2  it was not taken: nothing has changed

Ctrl-C stops following only; `evergate config rollback` ends the trial.";

/// Options of `evergate config apply`.
#[derive(Clone, Debug, Args)]
#[command(after_help = APPLY_HELP)]
pub struct ApplyArgs {
    /// The configuration file; paths in it are the server's.
    pub file: PathBuf,
    /// Why; kept in the history and the audit log.
    #[arg(long)]
    pub reason: String,
    /// Percent of the payments, such as `10,50,100`; the server's own when absent.
    #[arg(long, value_delimiter = ',', conflicts_with = "at_once")]
    pub stages: Vec<u8>,
    /// All payments at once; still asked about first, watched and rolled back.
    #[arg(long)]
    pub at_once: bool,
    /// How long each stage is watched, such as `60s`.
    #[arg(long, value_parser = duration)]
    pub watch: Option<Duration>,
    /// How long a stage waits for enough calls; ten times `--watch` when absent.
    #[arg(long, value_parser = duration)]
    pub patience: Option<Duration>,
    /// Calls to each touched channel that a stage needs.
    #[arg(long)]
    pub calls_min: Option<u64>,
    /// Do not ask providers a signed question first.
    #[arg(long)]
    pub no_probe: bool,
    /// Refuse when another version is in force than this, as `diff` told it.
    #[arg(long)]
    pub based_on: Option<u64>,
    /// Do not follow.
    #[arg(long)]
    pub detach: bool,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// `30s`, `500ms`, `5m`, `2h`, `1d`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().map_err(|_| "write it like 30s, 500ms, 5m or 2h")?;
    let factor = match unit.trim() {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err("the unit is one of ms, s, m, h, d".to_owned()),
    };
    let seconds = number * factor;
    if !(0.001..=366.0 * 86_400.0).contains(&seconds) {
        return Err("it must be between 1ms and 366d".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "write a number")?;
    (0.1..=2_000.0).contains(&rate).then_some(rate).ok_or("it must be 0.1 to 2000".to_owned())
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "write a number")?;
    (0.000_1..=1_000.0).contains(&number).then_some(number).ok_or("0.0001 to 1000".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_read() {
        for (text, ms) in [("30s", 30_000), ("1.5s", 1_500), ("250ms", 250), ("5m", 300_000)] {
            assert_eq!(duration(text).unwrap().as_millis(), ms, "{text}");
        }
        for text in ["", "s", "5y", "-1s", "0s", "999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
