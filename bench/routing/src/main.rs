//! For the time being.
use clap::Parser;
#[derive(Parser)]
struct Cli {
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    args: routing_bench::report::Args,
}
fn main() -> Result<(), serde_json::Error> {
    let cli = Cli::parse();
    println!("{}", routing_bench::report::report(&cli.args).told(cli.json)?);
    Ok(())
}
