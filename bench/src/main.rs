//! End-to-end load and comparisons; every published figure comes from here.
//!
//! Everything runs in this process and on the loopback interface, bounded in count and time.

mod decisions;
mod failover;
mod payments;

use clap::{Parser, Subcommand};

/// Measures Evergate from end to end.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct Cli {
    /// Print one JSON object on one line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Payments a second, durable, and what the gateway adds to calling the provider directly.
    Payments(payments::Args),
    /// Routing decisions a second over HTTP, beside an empty handler of the same server.
    Decisions(decisions::Args),
    /// The demo's figures over many seeds.
    Failover(failover::Args),
    /// Detection and routing beside the published rules of others, on the same outcomes.
    Routing(routing_bench::report::Args),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    evergate::init();
    let told = match cli.command {
        Command::Payments(args) => payments::run(&args).await?.told(cli.json)?,
        Command::Decisions(args) => decisions::run(&args).await?.told(cli.json)?,
        Command::Failover(args) => failover::run(&args).await?.told(cli.json)?,
        Command::Routing(args) => routing_bench::report::report(&args).told(cli.json)?,
    };
    println!("{told}");
    Ok(())
}
