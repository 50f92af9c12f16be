//! The command line of Evergate: reads it, does what it asks, and says how it went.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory as _, Parser as _};
use evergate::args::{Cli, Command, ConfigCommand, KeysCommand, OperatorsCommand};
use evergate::client::Style;
use evergate::lang::Lang;
use evergate::{
    check, client, config, demo, keys, operators, probe, sandbox_command, serve, statements,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    evergate::init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let ended = runtime.block_on(run(cli));
    // Threads that still read from a terminal or a dead peer must not hold the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ended.unwrap_or_else(|error| failed(&error))
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("evergate: {error:#}");
    ExitCode::from(2)
}

async fn run(cli: Cli) -> Result<ExitCode> {
    let lang = cli.lang.unwrap_or_else(Lang::from_env);
    let style = Style { lang, json: cli.json };
    match cli.command {
        Command::Demo(args) => {
            debug_log();
            let good = demo::run(&args, lang, cli.json).await?;
            return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Serve(args) => serve::run(&args).await?,
        Command::Sandbox(args) => {
            debug_log();
            sandbox_command::run(&args, lang, cli.json).await?;
        }
        Command::Check(args) => {
            let found = check::run(&args, lang).await;
            let color = std::io::stdout().is_terminal();
            say(&if cli.json { found.json() } else { found.text(color) });
            let worst = match found.worst() {
                check::Level::Warning if args.warnings_ok => check::Level::Ok,
                worst => worst,
            };
            return Ok(ExitCode::from(worst.exit_code()));
        }
        Command::Payments(command) => say(&client::payments(command, style).await?),
        Command::Channels(command) => say(&client::channels(command, style).await?),
        Command::Route(command) => say(&client::route(command, style).await?),
        Command::Ladder(command) => say(&client::ladder(command, style).await?),
        Command::Features(command) => say(&client::features(command, style).await?),
        Command::Maintenance(command) => say(&client::maintenance(command, style).await?),
        Command::Signals { server } => say(&client::signals(&server, style).await?),
        Command::Probe(args) => {
            let (text, good) = probe::run(&args, lang, cli.json).await?;
            say(&text);
            return Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(2) });
        }
        Command::Assist(command) => say(&client::assist(command, style).await?),
        Command::Bank(command) => say(&client::bank(command, style).await?),
        Command::Messages(command) => say(&client::messages(command, style).await?),
        Command::Notes(command) => say(&client::notes(command, style).await?),
        Command::Statements(command) => say(&statements::run(command, style).await?),
        Command::Keys(KeysCommand::New { merchant, name, role }) => {
            let (merchant, name) = (merchant.as_deref(), name.as_deref());
            say(&keys::new(merchant, name, role, lang, cli.json)?);
        }
        Command::Operators(OperatorsCommand::Hash { name, role }) => {
            say(&operators::hash(&name, role, lang, cli.json)?);
        }
        Command::Config(ConfigCommand::Default) => print!("{}", config::REFERENCE),
        Command::Config(command) => {
            let (text, good) = client::config(command, style).await?;
            say(&text);
            return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Openapi => say(&server::openapi().to_string()),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "evergate", &mut std::io::stdout());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a result. A reader that went away (`| head`) is no mistake.
fn say(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Logs of parts whose commands are quiet by themselves, when `EVERGATE_LOG` asks for them.
fn debug_log() {
    if let Ok(level) = std::env::var("EVERGATE_LOG") {
        let settings = config::LogSection { level, ..config::LogSection::default() };
        if let Err(error) = serve::logs(&settings) {
            eprintln!("evergate: {error:#}");
        }
    }
}
