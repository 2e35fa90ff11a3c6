//! `atf enforcer up`: load, attach, pin at once, prove. Nothing is left running that could die.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use atf_common::records::{Config, Deny, Run, State};
use rustix::fs::{FlockOperation, flock};

use super::attach::{self, Loaded};
use super::cage::Cage;
use super::error::KernelError;
use super::object::Object;
use super::probe::Found;
use super::programs::{Kind, Program, bit};
use super::proof::{Proof, prove_now};
use super::{Mode, Posture, canary, maps, pins, selftest, tree};
use crate::wire::Ids;

/// How long the kernel may take to let go of a replaced link: some RCU grace periods, which are
/// milliseconds each, and far more on a busy host.
const LET_GO_MAX: Duration = Duration::from_secs(5);
const LET_GO_POLL: Duration = Duration::from_millis(10);

/// Puts the cage up, or repairs it: the maps are kept, so that no run and no seal is forgotten.
/// When the cage stands already, proves it and changes nothing but the owners of the pins. A cage that
/// enforces never observes by this. On a kernel build that was not seen before, the self-test comes first.
///
/// # Errors
/// When the kernel holds less than the configuration demands, or what was put up does not hold.
/// Then what this call attached is gone again. [`KernelError::Enforces`] when it would be [`loosen`].
pub fn up(cage: &Cage, ids: &Ids) -> Result<Proof, KernelError> {
    stand(cage, ids, false)
}

/// As [`up`], and a cage that enforces observes from now on, as the configuration says. Whoever calls
/// this has the log's word that it is recorded.
///
/// # Errors
/// As of [`up`].
pub fn loosen(cage: &Cage, ids: &Ids) -> Result<Proof, KernelError> {
    stand(cage, ids, true)
}

/// Puts this version's programs in the place of those that stand, whether or not they hold: an upgrade, or
/// the way back from one. The maps are kept, and there is no moment without programs. A cage that enforces
/// never observes by this.
///
/// # Errors
/// As of [`up`]; the programs that stood stand then.
pub fn renew(cage: &Cage, ids: &Ids) -> Result<Proof, KernelError> {
    locked(cage, ids, false, || put_up(cage, ids))
}

/// Whether there is a cage that refuses what it denies. One that cannot be read does.
fn enforces(cage: &Cage) -> bool {
    let stands = cage.pin_dir.join("CONFIG").exists() || cage.links_dir().exists();
    stands && !matches!(maps::mode(&cage.pin_dir), Ok(Mode::Observe))
}

fn stand(cage: &Cage, ids: &Ids, may_loosen: bool) -> Result<Proof, KernelError> {
    locked(cage, ids, may_loosen, || match prove_now(cage) {
        Ok(proof) if proof.mode == cage.mode => Ok(proof),
        _ => put_up(cage, ids),
    })
}

/// One at a time; what fails is undone.
fn locked(
    cage: &Cage,
    ids: &Ids,
    may_loosen: bool,
    work: impl FnOnce() -> Result<Proof, KernelError>,
) -> Result<Proof, KernelError> {
    pins::ensure_dir(cage, ids)?;
    let lock = fs::File::open(&cage.pin_dir).map_err(KernelError::doing("open", &cage.pin_dir))?;
    flock(&lock, FlockOperation::LockExclusive)
        .map_err(KernelError::doing("lock", &cage.pin_dir))?;
    if cage.mode == Mode::Observe && !may_loosen && enforces(cage) {
        return Err(KernelError::Enforces);
    }
    pins::own(cage, ids)?;
    let fresh = !cage.links_dir().exists();
    let done = work();
    if done.is_err() {
        let undone = if fresh { super::down(cage) } else { attach::discard(cage) };
        if let Err(error) = undone {
            tracing::error!(%error, "could not take down what was put up in part");
        }
    }
    done
}

fn put_up(cage: &Cage, ids: &Ids) -> Result<Proof, KernelError> {
    tree::make(cage)?;
    refuse_other_version(cage)?;
    let mut object = Object::open(Some(&cage.pin_dir))?;
    let found = Found::load(cage, &mut object)?;
    let posture = found.posture();
    if posture == Posture::Refuse || posture < cage.posture {
        let (wanted, lacking) = (cage.posture.max(Posture::Core), found.lacking());
        return Err(KernelError::Posture { found: posture, wanted, lacking });
    }
    if cage.mode == Mode::Enforce {
        selftest::ensure(cage, posture)?;
    }
    let chosen: Vec<Loaded> = found
        .loaded
        .into_iter()
        .filter(|loaded| loaded.program.kind != Kind::Lsm || posture == Posture::Full)
        .collect();
    let programs: Vec<&Program> = chosen.iter().map(|loaded| loaded.program).collect();
    object.configure(Config {
        agents: cage.agents_id()?.0,
        level: cage.level,
        abi: atf_common::ABI_VERSION,
        programs: programs.iter().map(|program| bit(program)).fold(0, |all, one| all | one),
        mode: cage.mode.number(),
        unused: 0,
    })?;
    pins::pin_maps(cage, ids, &object)?;
    attach::attach(cage, &cage.open_agents()?, &chosen)?;
    canary::fly(cage, &object, &programs)?;
    attach::settle(cage)?;
    pins::pin_config(cage, ids, &object)?;
    let proof = prove_soon(cage)?;
    // Once more, by the new programs alone: while the old ones were there, either could have said no.
    canary::fly(cage, &object, &programs)?;
    attach::discard(cage)?;
    Ok(proof)
}

/// The proof, once the kernel has let go of the links that were replaced: it does that some time
/// after their last pin is gone.
fn prove_soon(cage: &Cage) -> Result<Proof, KernelError> {
    let until = Instant::now() + LET_GO_MAX;
    loop {
        let proof = prove_now(cage);
        if proof.is_ok() || Instant::now() > until {
            return proof;
        }
        sleep(LET_GO_POLL);
    }
}

/// Maps of another layout would be read wrongly by these programs.
fn refuse_other_version(cage: &Cage) -> Result<(), KernelError> {
    let path = &cage.pin_dir;
    let checks = [
        maps::is_hash_of::<Run>(path, "RUNS"),
        maps::is_hash_of::<State>(path, "STATES"),
        maps::is_hash_of::<Deny>(path, "DENY"),
    ];
    for check in checks {
        check.map_err(|found| KernelError::Version { path: path.clone(), found })?;
    }
    Ok(())
}
