//! `evergate bank …`: what people do to a bank channel's books.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::ServerArgs;

/// `evergate bank …`
#[derive(Debug, Subcommand)]
pub enum BankCommand {
    /// Import a statement file. Each entry counts once, however often it comes.
    Import {
        /// The file as the bank gave it.
        file: PathBuf,
        /// The channel of the account.
        #[arg(long)]
        channel: String,
        /// `csv`, `camt053` or `mt940`; the channel's first when absent.
        #[arg(long)]
        format: Option<String>,
        /// Only say what would become of it.
        #[arg(long)]
        dry_run: bool,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List the statement files that were imported.
    Statements {
        /// The channel of the account.
        #[arg(long)]
        channel: String,
        /// At most this many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List what came to the account.
    Transfers {
        /// The channel of the account.
        #[arg(long)]
        channel: String,
        /// `suspense`, `proposed`, `matched`, `returning`, `reversed`, `payout_back` or `refused`.
        #[arg(long)]
        state: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Record a transfer that no statement shows yet; it counts once a second person approves it.
    Record(Box<RecordArgs>),
    /// Say which payment a transfer in suspense is for; a second person approves it.
    Match {
        /// `tr_…`
        id: String,
        /// A payment's id, an attempt's number, a reference or a virtual account.
        #[arg(long)]
        payment: String,
        /// Who says so, and why.
        #[command(flatten)]
        word: WordArgs,
    },
    /// Agree to what another person proposed.
    Approve {
        /// `tr_…`
        id: String,
        /// Who says so, and why.
        #[command(flatten)]
        word: WordArgs,
    },
    /// Refuse what was proposed, or take it back.
    Reject {
        /// `tr_…`
        id: String,
        /// Who says so, and why.
        #[command(flatten)]
        word: WordArgs,
    },
    /// Say that a transfer in suspense goes back to its payer; a second person approves it.
    Return {
        /// `tr_…`
        id: String,
        /// Who says so, and why.
        #[command(flatten)]
        word: WordArgs,
    },
    /// List what is owed to payers, or say how it goes with one.
    Payouts {
        /// Only those in this state: `held`, `requested`, `sent`, `confirmed` or `failed`.
        #[arg(long)]
        state: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Say that a payout was transferred.
    PayoutSent {
        /// The payout's id.
        id: String,
        /// Who says so, and why.
        #[command(flatten)]
        word: WordArgs,
    },
    /// Confirm, as a second person, that a payout left the account.
    PayoutConfirm {
        /// The payout's id.
        id: String,
        /// Who says so, and why.
        #[command(flatten)]
        word: WordArgs,
    },
    /// Say that a payout is not possible, or came back.
    PayoutFailed {
        /// The payout's id.
        id: String,
        /// Who says so, and why.
        #[command(flatten)]
        word: WordArgs,
    },
    /// Show who did what to a transfer or payout.
    History {
        /// `tr_…`, `po_…`, a refund's or an attempt's number.
        id: String,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Why, and which server; whose key it is says who.
#[derive(Clone, Debug, Args)]
pub struct WordArgs {
    /// Why; kept in the history.
    #[arg(long)]
    pub reason: String,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// A transfer that somebody has seen.
#[derive(Clone, Debug, Args)]
pub struct RecordArgs {
    /// The channel of the account.
    #[arg(long)]
    pub channel: String,
    /// A payment's id, an attempt's number, a reference or a virtual account.
    #[arg(long)]
    pub payment: String,
    /// How much, in minor units.
    #[arg(long)]
    pub amount: i64,
    /// ISO 4217.
    #[arg(long, default_value = "CNY")]
    pub currency: String,
    /// The day of booking, such as 2026-11-24.
    #[arg(long)]
    pub booked_on: String,
    /// Who sent it.
    #[arg(long)]
    pub payer_name: Option<String>,
    /// From which account.
    #[arg(long)]
    pub payer_account: Option<String>,
    /// The bank's own id of the entry.
    #[arg(long)]
    pub bank_reference: Option<String>,
    /// Who says so, and why.
    #[command(flatten)]
    pub word: WordArgs,
}
