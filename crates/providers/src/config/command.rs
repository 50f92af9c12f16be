//! Keys that a program prints, such as a vault's client.
//!
//! The program is run without a shell, with nothing on its input, and bounded in time and in
//! what it may print. What it writes to its error output goes nowhere, because it may repeat
//! a secret (rule 13).

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::crypto::Secret;

/// How long a program may take.
const TIME: Duration = Duration::from_secs(10);
/// How much it may print: far more than any chain of certificates.
const BYTES_MAX: u64 = 256 * 1024;
/// How often it is looked whether a program that has closed its output has ended.
const LOOK: Duration = Duration::from_millis(10);

/// What the program printed, or the rule that it broke.
pub(super) fn run(words: &[String]) -> Result<Secret, String> {
    run_within(words, TIME)
}

fn run_within(words: &[String], time: Duration) -> Result<Secret, String> {
    let [program, arguments @ ..] = words else {
        return Err("the list is empty; it names a program and its arguments".to_owned());
    };
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child =
        started.map_err(|error| format!("{program} cannot be started ({})", error.kind()))?;
    let printed = output(&mut child, time);
    if printed.is_err() {
        // It may have ended by itself meanwhile, which is as good.
        let _ = child.kill();
    }
    let ended = end(&mut child, time);
    let bytes = printed.map_err(|why| format!("{program} {why}"))?;
    if !ended {
        return Err(format!("{program} {}", slow(time)));
    }
    match child.wait() {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(format!("{program} failed ({status})")),
        Err(error) => return Err(format!("{program} cannot be waited for ({})", error.kind())),
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.trim().is_empty() => Err(format!("{program} printed nothing")),
        Ok(text) => Ok(Secret::new(text)),
        Err(_) => Err(format!("{program} printed something that is not text")),
    }
}

fn slow(time: Duration) -> String {
    format!("did not end within {} s", time.as_secs_f64())
}

/// Reads in a thread of its own, so that a program that hangs holds that thread only.
fn output(child: &mut Child, time: Duration) -> Result<Vec<u8>, String> {
    let out = child.stdout.take().ok_or("has no output")?;
    let (tell, told) = mpsc::channel();
    let read = move || {
        let mut bytes = Vec::new();
        let read = out.take(BYTES_MAX + 1).read_to_end(&mut bytes);
        // Nobody listens any more when it was too slow.
        let _ = tell.send(read.map(|_| bytes));
    };
    std::thread::Builder::new()
        .name("key-command".to_owned())
        .spawn(read)
        .map_err(|_| "cannot be read: no thread can be started")?;
    match told.recv_timeout(time) {
        Ok(Ok(bytes)) if bytes.len() as u64 > BYTES_MAX => {
            Err(format!("printed more than {BYTES_MAX} bytes"))
        }
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(format!("cannot be read ({})", error.kind())),
        Err(_) => Err(slow(time)),
    }
}

/// Waits for the end of a program that prints no more, and ends it when it does not.
fn end(child: &mut Child, time: Duration) -> bool {
    for _ in 0..(time.as_millis() / LOOK.as_millis()).max(1) {
        if !matches!(child.try_wait(), Ok(None)) {
            return true;
        }
        std::thread::sleep(LOOK);
    }
    let _ = child.kill();
    false
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn refused(list: &[&str]) -> String {
        run_within(&words(list), Duration::from_secs(5)).expect_err("it is refused")
    }

    #[test]
    fn what_it_prints_is_the_key_and_no_shell_reads_the_words() {
        let key = run(&words(&["printf", "%s", "sk_test_$HOME;1"])).unwrap();
        assert_eq!(key.expose(), "sk_test_$HOME;1");
    }

    #[test]
    fn every_failure_has_its_rule_and_no_secret() {
        assert!(refused(&[]).contains("empty"));
        assert!(refused(&["/no/such/program"]).contains("cannot be started"));
        assert!(refused(&["true"]).contains("printed nothing"));
        let failed = refused(&["sh", "-c", "echo sk_live_1; echo sk_live_2 >&2; exit 3"]);
        assert!(failed.contains("exit status: 3") && !failed.contains("sk_live"), "{failed}");
        assert!(refused(&["head", "-c", "300000", "/dev/zero"]).contains("more than"));
        assert!(refused(&["printf", r"\377"]).contains("not text"));
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let hung = run_within(&words(&["sleep", "60"]), Duration::from_millis(50));
        assert!(hung.expect_err("it is refused").contains("did not end"));
        let closed = words(&["sh", "-c", "echo key; exec >&-; sleep 60"]);
        let closed = run_within(&closed, Duration::from_millis(300));
        assert!(closed.expect_err("it is refused").contains("did not end"));
    }
}
