//! QEMU: boots the kernel, watches its console for a hang, and takes the result from a second
//! serial line, so that no message of the kernel can fall into it.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::kernel::Kernel;
use crate::cargo;

/// A VM that runs one job and ends.
pub(crate) struct Machine<'a> {
    /// What to boot.
    pub(crate) kernel: &'a Kernel,
    /// Its files.
    pub(crate) initramfs: &'a Path,
    /// The arguments of `/init`.
    pub(crate) init_arguments: &'a [&'a str],
    /// Its disk. It is not changed: what the machine writes is gone at its end, and not before, so that
    /// a machine with a disk may boot again.
    pub(crate) disk: Option<&'a Path>,
    /// Try KVM first.
    pub(crate) kvm: bool,
}

/// What init writes around the result on the second serial line.
const RESULT_BEGINS: &str = "ATF-RESULT-BEGIN";
const RESULT_ENDS: &str = "ATF-RESULT-END";

/// The first thing that init writes to the console.
const INIT_RUNS: &str = "atf-vm: init runs";

/// What init and the demo begin their lines with: these are passed on, the kernel's are not.
const OURS: [&str; 2] = ["atf-vm: ", "demo: "];

/// The kernel's words for "this will not go on".
const HANGS: [&str; 4] = ["Kernel panic", "soft lockup", "hung_task", "Attempted to kill init"];

/// The processor that is emulated: without the instructions that copy and fill memory as fast as it goes (ERMS), which
/// the emulator takes a byte at a time, and the kernel for the fastest when it has them. Over pages that held code at
/// the boot before, a huge page that is cleared so keeps a processor busy for longer than the watchdog bears.
const EMULATED_CPU: &str = "max,-erms,-fsrm";

/// How long a kernel that gives up is listened to, so that what is shown has its trace.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// KVM that works boots in two or three seconds; KVM that hangs does so for ever.
const KVM_BOOT_MAX: Duration = Duration::from_secs(30);

/// Emulation boots in about ten seconds on an idle machine.
const EMULATED_BOOT_MAX: Duration = Duration::from_secs(180);

/// The whole demo takes one to three minutes under emulation, the suite of the cage ten, and twice
/// that on a busy machine.
const RUN_MAX: Duration = Duration::from_secs(30 * 60);

/// The lines of the console that are shown when something went wrong.
const TAIL_LINES: usize = 80;

impl Machine<'_> {
    /// Boots, waits for the end, and returns what stands between the result's markers.
    ///
    /// # Errors
    /// When it does not boot, hangs, takes too long, or ends without a result.
    pub(crate) fn boot(&self) -> Result<String> {
        if self.kvm {
            match self.boot_with("kvm", "host", KVM_BOOT_MAX) {
                Err(error) if error.is::<NoBoot>() => {
                    eprintln!("xtask: KVM does not boot here ({error}); emulating instead");
                }
                done => return done,
            }
        }
        self.boot_with("tcg", EMULATED_CPU, EMULATED_BOOT_MAX)
    }

    fn boot_with(&self, accelerator: &str, cpu: &str, boot_max: Duration) -> Result<String> {
        let folder = cargo::scratch("vm")?;
        let result = folder.join("result");
        let log = folder.join(format!("console-{}.log", self.kernel.release));
        let mut qemu = self
            .command(accelerator, cpu, &result)
            .spawn()
            .context("cannot start qemu-system-x86_64")?;
        let console = qemu.stdout.take().context("QEMU has no console")?;
        let watched = Watch::new(console, &log)?.until_end(boot_max);
        stop(&mut qemu)?;
        watched?;
        let text = std::fs::read_to_string(&result).context("QEMU left no result")?;
        between_markers(&text).with_context(|| {
            format!("the VM ended without a result; its console: {}", log.display())
        })
    }

    fn command(&self, accelerator: &str, cpu: &str, result: &Path) -> Command {
        let arguments = self.init_arguments.join(" ");
        // One thread for both processors: on two, a kernel that changes its own code while the other processor runs it
        // (static branches, with each program that is attached) now and then meets what it has changed already, and gives
        // up. The host's other processor is a second VM's, or somebody else's.
        let engine = if accelerator == "tcg" { "tcg,thread=single" } else { accelerator };
        let line = format!(
            "console=ttyS0 quiet loglevel=4 panic=-1 oops=panic transparent_hugepage=never lsm=landlock,lockdown,yama,bpf \
             atf.accelerator={accelerator} -- {arguments}"
        );
        let mut qemu = Command::new("qemu-system-x86_64");
        if let Some(disk) = self.disk {
            let disk = disk.display();
            qemu.arg("-drive").arg(format!("file={disk},format=raw,if=virtio,snapshot=on"));
        } else {
            qemu.arg("-no-reboot");
        }
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none"])
            .args(["-machine", "q35", "-accel", engine, "-cpu", cpu, "-smp", "2", "-m", "2048"])
            .arg("-kernel")
            .arg(&self.kernel.image)
            .arg("-initrd")
            .arg(self.initramfs)
            .args(["-append", &line, "-serial", "stdio", "-serial"])
            .arg(format!("file:{}", result.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        qemu
    }
}

/// Init never spoke.
#[derive(Debug)]
struct NoBoot(String);

impl std::fmt::Display for NoBoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoBoot {}

/// Reads the console to its end, keeps it, and gives up on a hang.
struct Watch {
    lines: Receiver<String>,
    log: File,
    log_path: PathBuf,
    tail: Vec<String>,
}

impl Watch {
    fn new(console: ChildStdout, log_path: &Path) -> Result<Self> {
        let log = File::create(log_path)
            .with_context(|| format!("cannot write {}", log_path.display()))?;
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut console = BufReader::new(console);
            let mut line = Vec::new();
            while console.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                if send.send(text).is_err() {
                    return;
                }
            }
        });
        Ok(Self { lines, log, log_path: log_path.to_owned(), tail: Vec::new() })
    }

    fn until_end(mut self, boot_max: Duration) -> Result<()> {
        let (began, mut booted) = (Instant::now(), false);
        loop {
            let limit = if booted { RUN_MAX } else { boot_max };
            let left = limit.saturating_sub(began.elapsed());
            let line = match self.lines.recv_timeout(left) {
                Ok(line) => line,
                Err(RecvTimeoutError::Disconnected) if booted => return Ok(()),
                Err(RecvTimeoutError::Timeout) if booted => {
                    bail!("no end after {} s; {}", limit.as_secs(), self.last_lines());
                }
                Err(_) => {
                    let why = format!("init did not run after {} s", began.elapsed().as_secs());
                    return Err(NoBoot(format!("{why}; {}", self.last_lines())).into());
                }
            };
            booted |= line.contains(INIT_RUNS);
            if OURS.iter().any(|start| line.starts_with(start)) {
                eprintln!("{line}");
            }
            self.keep(&line)?;
            if HANGS.iter().any(|words| line.contains(words)) {
                self.hear_last_words()?;
                bail!("the VM's kernel gave up: {line}; {}", self.last_lines());
            }
        }
    }

    fn hear_last_words(&mut self) -> Result<()> {
        let until = Instant::now() + LAST_WORDS;
        let left = || until.saturating_duration_since(Instant::now());
        while let Ok(line) = self.lines.recv_timeout(left()) {
            self.keep(&line)?;
        }
        Ok(())
    }

    fn keep(&mut self, line: &str) -> Result<()> {
        writeln!(self.log, "{line}")?;
        self.tail.push(line.to_owned());
        if self.tail.len() > TAIL_LINES {
            self.tail.remove(0);
        }
        Ok(())
    }

    fn last_lines(&self) -> String {
        format!("its console ({}) ends with:\n{}", self.log_path.display(), self.tail.join("\n"))
    }
}

/// Ends the QEMU that we started. After the end of its console it needs a moment of its own.
fn stop(qemu: &mut Child) -> Result<()> {
    for _ in 0..50 {
        if qemu.try_wait()?.is_some() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    qemu.kill().context("cannot end QEMU")?;
    qemu.wait().context("cannot wait for QEMU")?;
    Ok(())
}

fn between_markers(text: &str) -> Option<String> {
    let after = text.split_once(RESULT_BEGINS)?.1;
    Some(after.split_once(RESULT_ENDS)?.0.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of a console that a shell script plays.
    fn watch(script: &str) -> Result<()> {
        let mut sh = Command::new("sh");
        let mut console = sh.args(["-c", script]).stdout(Stdio::piped()).spawn()?;
        let stdout = console.stdout.take().context("piped")?;
        let log = std::env::temp_dir().join(format!("xtask-console-{}", console.id()));
        let watched = Watch::new(stdout, &log)?.until_end(Duration::from_millis(500));
        stop(&mut console)?;
        std::fs::remove_file(log)?;
        watched
    }

    #[test]
    fn a_machine_that_hangs_is_told_from_one_that_ends() {
        let init = format!("echo '{INIT_RUNS}'");
        for (script, expected) in [
            (format!("{init}; echo done"), Ok(())),
            (format!("{init}; echo '[1.0] Kernel panic - not syncing'; exec sleep 60"), Err(false)),
            (format!("{init}; echo 'watchdog: BUG: soft lockup'; exec sleep 60"), Err(false)),
            ("echo SeaBIOS".to_owned(), Err(true)),
            ("echo SeaBIOS; exec sleep 60".to_owned(), Err(true)),
        ] {
            let found = watch(&script).map_err(|error| error.is::<NoBoot>());
            assert_eq!(found, expected, "{script}");
        }
    }

    #[test]
    fn a_kernel_that_gives_up_is_heard_to_its_end() {
        let stuck =
            "echo 'watchdog: BUG: soft lockup - CPU#1'; sleep 0.1; echo 'the trace'; exec sleep 60";
        let error = watch(&format!("echo '{INIT_RUNS}'; {stuck}")).expect_err("stuck");
        assert!(error.to_string().contains("the trace"), "{error}");
    }

    #[test]
    fn the_result_is_what_stands_between_its_markers() {
        let text = format!("noise\r\n{RESULT_BEGINS}\r\n{{}}\r\n{RESULT_ENDS}\r\n");
        assert_eq!(between_markers(&text).as_deref(), Some("{}"));
        assert_eq!(between_markers(RESULT_BEGINS), None);
    }
}
