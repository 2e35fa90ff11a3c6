//! ATF as systemd runs it: installed by the README's own commands, restarted, upgraded, stopped, and
//! there again after the next boot. All of it in a VM that nobody needs afterwards.

mod agent;
mod attempts;
pub mod boot;
mod daemons;
mod install;
mod live;
mod order;
mod readme;
mod result;
mod unit;

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use result::Rows;

/// The second serial line: nobody but us writes there.
const RESULT_LINE: &str = "/dev/ttyS1";

/// Where the kernel and we speak.
const CONSOLE: &str = "/dev/console";

/// Does everything that the present boot is for, and ends it.
///
/// # Errors
/// When the result cannot be kept or handed out, or the VM not be ended.
pub fn run() -> Result<()> {
    let mut rows = Rows::open()?;
    let again = match rows.boot() {
        1 => {
            first(&mut rows);
            true
        }
        _ => {
            order::after_the_boot(&mut rows);
            false
        }
    };
    let end = if again {
        rows.keep()?;
        "reboot"
    } else {
        hand_out(&serde_json::to_string(&rows.shown())?)?;
        "poweroff"
    };
    unit::systemctl(&[end])?;
    Ok(())
}

/// The first boot: from the installation to the wish to have it all again after the next.
fn first(rows: &mut Rows) {
    install::install(rows);
    match attempts::outside() {
        Ok(oracle) => {
            attempts::attempts(rows, &oracle);
            daemons::daemons(rows, &oracle);
        }
        Err(error) => rows.check("outside", "there is an outside", || Err(error)),
    }
    order::without_a_cage(rows);
    order::before_the_boot(rows);
}

/// Says what is going on, where whoever boots the VM sees it.
fn say(what: &str) {
    use std::io::Write as _;
    if let Ok(mut console) = fs::File::options().write(true).open(CONSOLE) {
        // The rows say it all; without a console nobody watches.
        let _unseen = writeln!(console, "atf-vm: {what}");
    }
}

fn hand_out(result: &str) -> Result<()> {
    use std::io::Write as _;
    let mut line = fs::File::options().write(true).open(RESULT_LINE).context(RESULT_LINE)?;
    write!(line, "ATF-RESULT-BEGIN\n{result}\nATF-RESULT-END\n")?;
    // What the line has not sent yet would be lost with the VM.
    Ok(rustix::termios::tcdrain(&line)?)
}

/// Runs a command; its standard output.
fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    anyhow::ensure!(
        output.status.success(),
        "{command:?} ended with {}: {} {}",
        output.status,
        said(&output.stdout),
        said(&output.stderr)
    );
    Ok(said(&output.stdout))
}

/// `atf`, as it is installed.
fn atf(arguments: &[&str]) -> Result<String> {
    output(Command::new("atf").args(arguments))
}
