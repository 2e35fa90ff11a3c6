use super::*;
use crate::call::{Chain, Delegator, Digest, MarkKey, Named, Narrowing, Reach};

fn entry(uid: u32) -> Registered {
    Registered {
        run: RunId::random(),
        cgroup: CgroupId(u64::MAX - u64::from(uid)),
        uid,
        agent: "clerk".parse().unwrap(),
        user: "älice\n".into(),
        task: "T-1".into(),
        prompt: Digest::of(b"prompt"),
        tools: vec!["ledger.query".parse().unwrap(), "ledger.adjust".parse().unwrap()],
        narrowing: serde_json::from_str(r#"{"ledger.adjust":[{"required":["reason"]}]}"#).unwrap(),
        reach: serde_json::from_str(r#"{"prompts":["a.b"],"resources":["a+x:*"]}"#).unwrap(),
        chain: Chain::new(vec![Delegator { agent: "chief".parse().unwrap(), run: parent() }]),
        network: NonZeroU64::new(u64::MAX - u64::from(uid)),
        boot: "boot".into(),
        end_boot_ms: 2_000,
        token_boot_ms: 1_000,
    }
}

/// The run that hands its task on to every entry.
fn parent() -> RunId {
    "0123456789abcdef0123456789abcdef".parse().unwrap()
}

/// Adds a run whose task names nothing.
fn add(registry: &mut Registry, run: &Registered) -> Result<(), RegistryError> {
    registry.add(run, &Named::nothing(), 0)
}

#[test]
fn a_registry_of_a_version_before_is_taken_over() {
    let back = [
        "DROP INDEX live_network; ALTER TABLE runs DROP COLUMN network; PRAGMA user_version = 5;",
        "DROP INDEX children; ALTER TABLE runs DROP COLUMN parent;
         ALTER TABLE runs DROP COLUMN chain; PRAGMA user_version = 4;",
        "ALTER TABLE runs DROP COLUMN named; PRAGMA user_version = 3;",
        "ALTER TABLE runs DROP COLUMN reach; PRAGMA user_version = 2;",
        "ALTER TABLE runs DROP COLUMN narrowing; PRAGMA user_version = 1;",
    ];
    let mut old = entry(1);
    for steps in 1..=back.len() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry.db");
        let whole = Registered { run: old.run, ..entry(1) };
        add(&mut Registry::open(&path).unwrap(), &whole).unwrap();
        let db = Connection::open(&path).unwrap();
        db.execute_batch(&back[..steps].concat()).unwrap();
        drop(db);
        match steps {
            1 => old.network = None,
            2 => old.chain = Chain::default(),
            4 => old.reach = Reach::default(),
            5 => old.narrowing = Narrowing::default(),
            _ => {}
        }
        let mut registry = Registry::open(&path).unwrap();
        assert_eq!(registry.live().unwrap(), std::slice::from_ref(&old));
        assert!(steps < 3 || registry.named(old.run).unwrap().marks().is_empty());
        let (run, named) = (entry(2), Named::new(MarkKey::random(), vec![1, 2, 3]));
        registry.add(&run, &named, 0).unwrap();
        assert_eq!(registry.live().unwrap().remove(1), run);
        assert_eq!(registry.named(run.run).unwrap(), named);
    }
}

#[test]
fn the_children_of_a_run_are_those_that_live() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::open(&dir.path().join("registry.db")).unwrap();
    let (one, other) = (entry(1), entry(2));
    let alone = Registered { chain: Chain::default(), ..entry(3) };
    for run in [&one, &other, &alone] {
        add(&mut registry, run).unwrap();
    }
    assert_eq!(registry.children(parent()).unwrap(), [one.clone(), other.clone()]);
    let kernel = Vec::new();
    registry.end(&Ended { run: one.run, how: "exit 0".into(), kernel }, 1).unwrap();
    assert_eq!(registry.children(parent()).unwrap(), [other]);
    assert!(registry.children(alone.run).unwrap().is_empty());
}

#[test]
fn what_a_task_names_is_kept_while_its_run_lives() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry.db");
    let (run, named) = (entry(1), Named::new(MarkKey::random(), vec![1, 2, 3]));
    Registry::open(&path).unwrap().add(&run, &named, 0).unwrap();
    let registry = Registry::open(&path).unwrap();
    assert_eq!(registry.named(run.run).unwrap(), named);
    assert!(registry.named(RunId::random()).unwrap().marks().is_empty(), "no run");
    let ended = Ended { run: run.run, how: "exit 0".into(), kernel: Vec::new() };
    assert!(registry.end(&ended, 100).unwrap());
    assert!(registry.named(run.run).unwrap().marks().is_empty(), "nothing of it stays");
}

#[test]
fn what_is_written_outlives_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry.db");
    let (a, b) = (entry(1), entry(2));
    let mut registry = Registry::open(&path).unwrap();
    add(&mut registry, &a).unwrap();
    add(&mut registry, &b).unwrap();
    registry.renewed(a.run, 1_500, 77).unwrap();
    let ended = Ended {
        run: b.run,
        how: "exit 0".into(),
        kernel: vec![("connect4".into(), [1, 2, 3, 4, 5, 6])],
    };
    assert!(registry.end(&ended, 100).unwrap());
    assert!(!registry.end(&ended, 100).unwrap(), "once");
    drop(registry);

    let registry = Registry::open(&path).unwrap();
    let renewed = Registered { token_boot_ms: 1_500, ..a.clone() };
    assert_eq!(registry.live().unwrap(), std::slice::from_ref(&renewed));
    assert_eq!(registry.get(a.run).unwrap(), Some(renewed));
    assert_eq!(registry.get(b.run).unwrap(), None);
    assert_eq!(registry.last_iat_unix_s().unwrap(), 77);
    assert_eq!(registry.unrecorded().unwrap(), [ended]);
    registry.recorded(b.run, 100).unwrap();
    assert!(registry.unrecorded().unwrap().is_empty());
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn no_two_live_runs_share_an_id_a_cgroup_or_a_uid() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::open(&dir.path().join("registry.db")).unwrap();
    let first = entry(1);
    add(&mut registry, &first).unwrap();
    for twin in [
        Registered { run: first.run, ..entry(2) },
        Registered { cgroup: first.cgroup, ..entry(2) },
        Registered { network: first.network, ..entry(2) },
        entry(1),
    ] {
        assert!(matches!(add(&mut registry, &twin), Err(RegistryError::Taken { .. })));
    }
    add(&mut registry, &entry(2)).unwrap();
}

#[test]
fn a_uid_comes_back_as_late_as_the_pool_allows() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::open(&dir.path().join("registry.db")).unwrap();
    let mut given = Vec::new();
    for _ in 0..4 {
        let uid = registry.free_uid(10, 3).unwrap().unwrap();
        given.push(uid);
        let entry = entry(uid);
        add(&mut registry, &entry).unwrap();
        let ended = Ended { run: entry.run, how: "x".into(), kernel: Vec::new() };
        registry.end(&ended, 1).unwrap();
    }
    assert_eq!(given, [10, 11, 12, 10]);
    for uid in 10..13 {
        add(&mut registry, &entry(uid)).unwrap();
    }
    assert_eq!(registry.free_uid(10, 3).unwrap(), None);
}

#[test]
fn a_free_uid_is_the_one_that_looking_at_all_of_them_finds() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::open(&dir.path().join("registry.db")).unwrap();
    let (first, size) = (10, 5);
    let (mut live, mut newest): (Vec<Registered>, Option<u32>) = (Vec::new(), None);
    for step in 0_usize..60 {
        let after = newest.map_or(0, |uid: u32| uid + 1 - first);
        let expected = (0..size)
            .map(|step| first + (after + step) % size)
            .find(|uid| live.iter().all(|run| run.uid != *uid));
        assert_eq!(registry.free_uid(first, size).unwrap(), expected, "{step}: {live:?}");
        match expected {
            Some(uid) if step % 3 != 2 => {
                let run = entry(uid);
                add(&mut registry, &run).unwrap();
                live.push(run);
                newest = Some(uid);
            }
            Some(_) | None => {
                let run = live.remove(step * 7 % live.len()).run;
                let ended = Ended { run, how: "x".into(), kernel: Vec::new() };
                registry.end(&ended, 1).unwrap();
            }
        }
    }
}
