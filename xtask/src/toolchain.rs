//! The tools that make the eBPF object: a compiler that has a `core` for the kernel's virtual
//! machine, its linker, and LLVM.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{cache, packages, progress};

/// The target of the object.
pub(crate) const TARGET: &str = "bpfel-unknown-none";

/// The LLVM that the linker is built against; the compiler's bitcode must not be newer.
const LLVM: &str = "/usr/lib/llvm-22";

/// The one version of the linker that the lock file knows.
const LINKER_VERSION: &str = "0.13.0";

/// Debian's compiler, which comes with a `core` for the target.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "libstd-rust-web-dev-bpf"];
const LLVM_PACKAGES: [&str; 4] = ["llvm-22-dev", "libpolly-22-dev", "libzstd-dev", "zlib1g-dev"];

/// What builds the object.
pub(crate) struct Toolchain {
    compiler: Compiler,
    /// `bpf-linker`.
    pub(crate) linker: PathBuf,
}

enum Compiler {
    /// Debian's, as `rustc`.
    Debian,
    /// rustup's nightly with `rust-src`, which builds `core` itself.
    Nightly,
}

impl Toolchain {
    /// Finds the tools, and installs what is missing when it may.
    ///
    /// # Errors
    /// When a tool is missing and cannot be installed.
    pub(crate) fn find() -> Result<Self> {
        Ok(Self { compiler: compiler()?, linker: linker()? })
    }

    /// `cargo build`, with the compiler set and nothing else.
    pub(crate) fn cargo_build(&self) -> Command {
        // A toolchain's own `cargo` would come before rustup's, which alone knows `+nightly`.
        let mut cargo = Command::new("cargo");
        match self.compiler {
            Compiler::Debian => {
                cargo.arg("build").env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
            }
            Compiler::Nightly => {
                cargo.args(["+nightly", "build", "-Z", "build-std=core"]);
            }
        }
        cargo.env_remove("RUSTFLAGS").env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTC_WRAPPER");
        cargo
    }

    /// LLVM's tool of this name.
    pub(crate) fn llvm(name: &str) -> Command {
        Command::new(Path::new(LLVM).join("bin").join(name))
    }

    /// The versions that the lock file names: compiler, linker, LLVM.
    ///
    /// # Errors
    /// When a tool does not say its version.
    pub(crate) fn versions(&self) -> Result<[(&'static str, String); 3]> {
        let mut compiler = match self.compiler {
            Compiler::Debian => Command::new(DEBIAN_RUSTC),
            Compiler::Nightly => nightly_rustc(),
        };
        let compiler = progress::output(compiler.arg("--version"))?;
        let linker = progress::output(Command::new(&self.linker).arg("--version"))?;
        let llvm = progress::output(Self::llvm("llvm-config").arg("--version"))?;
        Ok([
            ("rustc", compiler.trim().to_owned()),
            ("linker", linker.trim().to_owned()),
            ("llvm", llvm.trim().to_owned()),
        ])
    }
}

fn compiler() -> Result<Compiler> {
    if debian_has_target() {
        return Ok(Compiler::Debian);
    }
    if nightly_has_source() {
        return Ok(Compiler::Nightly);
    }
    packages::ensure(&DEBIAN_PACKAGES).context(
        "no compiler for the eBPF object: install these, or rustup's nightly with rust-src",
    )?;
    if !debian_has_target() {
        bail!("{DEBIAN_RUSTC} has no core for {TARGET}; another package must have put it there");
    }
    Ok(Compiler::Debian)
}

fn debian_has_target() -> bool {
    let mut rustc = Command::new(DEBIAN_RUSTC);
    let found = progress::output(rustc.args(["--print", "target-libdir", "--target", TARGET]));
    found.is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

fn nightly_has_source() -> bool {
    let found = progress::output(nightly_rustc().args(["--print", "sysroot"]));
    found.is_ok_and(|root| Path::new(root.trim()).join("lib/rustlib/src/rust/library").is_dir())
}

fn nightly_rustc() -> Command {
    let mut rustup = Command::new("rustup");
    rustup.args(["run", "nightly", "rustc"]);
    rustup
}

/// The linker, built once into the cache.
fn linker() -> Result<PathBuf> {
    let tools = cache::folder("tools")?;
    let linker = tools.join("bin/bpf-linker");
    let found = progress::output(Command::new(&linker).arg("--version"));
    if !found.is_ok_and(|version| version.trim().ends_with(LINKER_VERSION)) {
        packages::ensure(&LLVM_PACKAGES)?;
        progress::step("building bpf-linker", || {
            let mut install = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
            install.args(["install", "bpf-linker", "--version", LINKER_VERSION, "--locked"]);
            install.args(["--no-default-features", "--features", "llvm-22", "--force", "--root"]);
            install.arg(&tools).env("CARGO_TARGET_DIR", tools.join("build"));
            install.env("LLVM_PREFIX", LLVM).env("LLVM_SYS_221_PREFIX", LLVM);
            progress::command(&mut install)
        })?;
    }
    if !Path::new(LLVM).join("bin/llvm-objcopy").is_file() {
        packages::ensure(&LLVM_PACKAGES)?;
    }
    Ok(linker)
}
