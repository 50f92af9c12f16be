//! `evergate assist …`: what staff do at the VIP desk.

use clap::{Args, Subcommand};

use crate::args::ServerArgs;
use crate::bank_args::WordArgs;

/// `evergate assist …`
#[derive(Debug, Subcommand)]
pub enum AssistCommand {
    /// List the cases: VIPs first, and among equals the one that waits longest.
    List {
        /// `open`, `taken`, `proposed`, `recording` or `closed`; all that are not closed when
        /// absent.
        #[arg(long)]
        state: Option<String>,
        /// `vip` or `standard`.
        #[arg(long)]
        tier: Option<String>,
        /// Of this merchant.
        #[arg(long)]
        merchant: Option<String>,
        /// Of this payment, closed ones as well.
        #[arg(long)]
        payment: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show a case with everything that is known about its payment.
    Show {
        /// `as_…`
        id: String,
        /// Which server.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Ask staff to help with a payment. Asked again, it is the same case.
    Open {
        /// `pay_…`
        payment: String,
        /// Who says so, and why.
        #[command(flatten)]
        word: WordArgs,
    },
    /// Take a case from the queue, or keep it for longer.
    Take {
        /// `as_…`
        id: String,
        /// Who says so, and why.
        #[command(flatten)]
        word: WordArgs,
    },
    /// Put a case back into the queue.
    GiveBack {
        /// `as_…`
        id: String,
        /// Who says so, and why.
        #[command(flatten)]
        word: WordArgs,
    },
    /// Add a note, which is the reason.
    Note {
        /// `as_…`
        id: String,
        /// Who says so, and why.
        #[command(flatten)]
        word: WordArgs,
    },
    /// Send the payment to a channel; pass on what it shows.
    Pay {
        /// `as_…`
        id: String,
        /// To this channel; the first that works with the method when absent.
        #[arg(long, required_unless_present = "method")]
        channel: Option<String>,
        /// By this method; the first that the channel has when absent.
        #[arg(long)]
        method: Option<String>,
        /// Who says so, and why.
        #[command(flatten)]
        word: WordArgs,
    },
    /// Record money that was taken outside any channel.
    Offline(Box<OfflineArgs>),
    /// Agree to what another person took, and record it.
    Approve {
        /// `as_…`
        id: String,
        /// Who says so, and why.
        #[command(flatten)]
        word: WordArgs,
    },
    /// Refuse what was taken, or take it back; the money is to be handed back.
    Reject {
        /// `as_…`
        id: String,
        /// Who says so, and why.
        #[command(flatten)]
        word: WordArgs,
    },
    /// Close a case because the customer does not want help any more.
    Close {
        /// `as_…`
        id: String,
        /// Who says so, and why.
        #[command(flatten)]
        word: WordArgs,
    },
    /// Say what became of a refund of money that was taken outside any channel.
    Refunded {
        /// `pay_…`
        payment: String,
        /// The refund's ordinal.
        #[arg(long)]
        refund: u16,
        /// It cannot be given back.
        #[arg(long)]
        impossible: bool,
        /// Who says so, and why.
        #[command(flatten)]
        word: WordArgs,
    },
}

/// Money that was taken outside any channel.
#[derive(Clone, Debug, Args)]
pub struct OfflineArgs {
    /// `as_…`
    pub id: String,
    /// `cash`, `pos`, `cheque` or `transfer_seen`.
    #[arg(long)]
    pub kind: String,
    /// The number of the till slip, the terminal's receipt or the cheque.
    #[arg(long)]
    pub reference: String,
    /// How much, in minor units; the payment's whole amount.
    #[arg(long)]
    pub amount: i64,
    /// ISO 4217.
    #[arg(long, default_value = "CNY")]
    pub currency: String,
    /// When it was taken (RFC 3339); now when absent.
    #[arg(long)]
    pub taken_at: Option<String>,
    /// Who says so, and why.
    #[command(flatten)]
    pub word: WordArgs,
}
