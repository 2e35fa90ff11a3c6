//! What the values of a configuration must be, beyond their kinds: nothing of it is asked of the host.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use super::Config;
use crate::call::RunId;
use crate::identity::TOKEN_TTL_S_MAX;
use crate::kernel::Posture;
use crate::run::BRIDGE_PORT_MIN;
use crate::wire::Places;

/// Longest path of a unix socket in bytes: `sun_path` has 108, one of them a NUL (unix(7)).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// The first value that contradicts another one or a limit.
pub(super) fn wrong(config: &Config) -> Option<String> {
    places(config)
        .or_else(|| ids(config))
        .or_else(|| names(config))
        .or_else(|| paths(config))
        .or_else(|| amounts(config))
}

fn places(config: &Config) -> Option<String> {
    let places = &config.places;
    [
        ("places.run_dir", &places.run_dir),
        ("places.state_dir", &places.state_dir),
        ("places.policy_dir", &places.policy_dir),
        ("places.agents_dir", &places.agents_dir),
        ("places.servers_dir", &places.servers_dir),
        ("places.pin_dir", &places.pin_dir),
    ]
    .into_iter()
    .find_map(|(key, path)| absolute(key, path))
    .or_else(|| {
        // The one is open to runs and gone after a reboot, the other is neither.
        (places.run_dir == places.state_dir)
            .then(|| "places.run_dir and places.state_dir are one directory, expected two".to_owned())
    })
    .or_else(|| {
        let most = SOCKET_PATH_BYTES_MAX - socket_bytes_beyond(places);
        let found = places.run_dir.as_os_str().len();
        (found > most).then(|| {
            format!("places.run_dir has {found} bytes, at most {most}: a socket's path has no room for more")
        })
    })
}

/// What the longest path of a socket has beyond the runtime directory.
fn socket_bytes_beyond(places: &Places) -> usize {
    let longest = places.run_lines(RunId::random());
    longest.as_os_str().len() - places.run_dir.as_os_str().len()
}

fn ids(config: &Config) -> Option<String> {
    let ids = &config.ids;
    let daemons = [ids.authority, ids.gateway, ids.recorder, ids.executor];
    let distinct: BTreeSet<u32> = daemons.into_iter().chain([ids.group]).collect();
    if distinct.len() != daemons.len() + 1 || distinct.contains(&0) {
        return Some("[ids] needs five different numbers, none of them 0".to_owned());
    }
    let in_pool = distinct.iter().any(|id| ids.is_pool(*id));
    (ids.pool_first == 0 || ids.pool_size == 0 || in_pool).then(|| {
        "[ids] pool_first and pool_size must name a pool without 0 and without the daemons"
            .to_owned()
    })
}

fn names(config: &Config) -> Option<String> {
    let authority = &config.authority;
    [("authority.issuer", &authority.issuer), ("authority.audience", &authority.audience)]
        .into_iter()
        .find_map(|(key, name)| {
            name.trim().is_empty().then(|| format!("{key} is empty, expected a name"))
        })
}

fn paths(config: &Config) -> Option<String> {
    let signers = config.policy.signers.iter();
    let signers = signers.map(|(id, path)| (format!("policy.signers.{id}"), path));
    let shown = config.run.read_only.iter().map(|path| ("run.read_only".to_owned(), path));
    below("cage.cgroup", Path::new(&config.cage.cgroup))
        .or_else(|| below("executor.ledger", &config.executor.ledger))
        .or_else(|| signers.chain(shown).find_map(|(key, path)| absolute(&key, path)))
}

fn amounts(config: &Config) -> Option<String> {
    let (gateway, recorder, run) = (&config.gateway, &config.recorder, &config.run);
    let (authority, executor) = (&config.authority, &config.executor);
    let least_one = [
        ("authority.run_max_s", authority.run_max_s),
        ("gateway.body_bytes_max", gateway.body_bytes_max as u64),
        ("gateway.result_bytes_max", gateway.result_bytes_max as u64),
        ("gateway.connections_per_run_max", gateway.connections_per_run_max as u64),
        ("gateway.calls_per_run_max", gateway.calls_per_run_max as u64),
        ("gateway.execute_timeout_ms", gateway.execute_timeout_ms),
        ("recorder.segment_bytes_max", recorder.segment_bytes_max),
        ("recorder.group_records_max", recorder.group_records_max as u64),
        ("executor.rows_max", executor.rows_max as u64),
        ("executor.query_timeout_ms", executor.query_timeout_ms),
        ("run.pids_max", run.pids_max.into()),
        ("run.memory_bytes_max", run.memory_bytes_max),
        ("run.scratch_bytes_max", run.scratch_bytes_max),
        ("run.files_max", run.files_max),
    ];
    if let Some((key, _)) = least_one.into_iter().find(|(_, found)| *found == 0) {
        return Some(format!("{key} is 0, expected 1 or more"));
    }
    let ttl_s = authority.token_ttl_s;
    if !(1..=TOKEN_TTL_S_MAX).contains(&ttl_s) {
        return Some(format!("authority.token_ttl_s is {ttl_s}, expected 1 to {TOKEN_TTL_S_MAX}"));
    }
    if (1..BRIDGE_PORT_MIN).contains(&run.bridge_port) {
        let found = run.bridge_port;
        return Some(format!(
            "run.bridge_port is {found}, expected 0 or a port from {BRIDGE_PORT_MIN} on"
        ));
    }
    (config.cage.posture < Posture::Core)
        .then(|| format!("cage.posture is {}, expected FULL or CORE", config.cage.posture.name()))
}

/// The daemons start in the root directory: a relative path would be another one than its writer meant.
fn absolute(key: &str, path: &Path) -> Option<String> {
    let fine = path.is_absolute() && !path.components().any(|part| part == Component::ParentDir);
    (!fine)
        .then(|| format!("{key} is {:?}, expected an absolute path without `..`", path.display()))
}

fn below(key: &str, path: &Path) -> Option<String> {
    let mut parts = path.components();
    let fine = parts.clone().next().is_some() && parts.all(|p| matches!(p, Component::Normal(_)));
    (!fine).then(|| format!("{key} is {:?}, expected a relative path without `..`", path.display()))
}
