//! The gate's work on hostile input, counted in allocated bytes and never in time: twice the input is
//! about twice the work, to the greatest input that is read at all, and what is longer costs nothing.

use std::path::Path;

use atf_agent::call::{Caller, CgroupId, Chain, Digest, Named, Narrowing, Reach, RunId};
use atf_agent::gate::sql::{Dialect, SqlProfile};
use atf_agent::gate::{self, Counters, Facts, Known, Limits, Pins, Policy, Presented, Rules};
use atf_agent::identity::{Claims, Context, Entitlements, Minter, Verifier};
use atf_tests::sys::counting::Counting;

#[global_allocator]
static COUNTED: Counting = Counting;

const NOW_S: u64 = 1_800_000_000;
const ISSUER: &str = "https://authority.test";
const AUDIENCE: &str = "gateway.test";

/// Bytes of work that do not grow with the input: the token, the policy, errors.
const FIXED_BYTES: u64 = 256 << 10;

struct Judge {
    caller: Caller,
    jwt: String,
    prompt: String,
    verifier: Verifier,
    known: Known,
    pins: Pins,
    policy: Policy,
    limits: Limits,
}

impl Judge {
    fn shipped() -> Self {
        let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let caller = Caller { run: RunId::random(), cgroup: CgroupId(1) };
        let (prompt, minter) =
            (Digest::of(b"prompt"), Minter::generate().expect("the fixture is right"));
        let tools = ["ledger.query", "ledger.adjust"];
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: "clerk".parse().expect("the fixture is right"),
            aud: AUDIENCE.to_owned(),
            iat: NOW_S,
            nbf: NOW_S,
            exp: NOW_S + 300,
            jti: caller.run,
            context: Context { parent_user: "alice".into(), task_id: "t".into() },
            entitlements: Entitlements {
                allowed_tools: tools.map(|tool| tool.parse().expect("the fixture is right")).into(),
                narrowing: Narrowing::default(),
                reach: Reach::default(),
            },
            prompt_integrity_hash: prompt,
            act: Chain::default(),
        };
        Self {
            caller,
            jwt: minter.mint(&claims).expect("the fixture is right"),
            prompt: prompt.to_string(),
            verifier: Verifier::from_jwks(&minter.jwks(), ISSUER, AUDIENCE)
                .expect("the fixture is right"),
            pins: Pins::read(&policies.join("tools")).expect("the fixture is right"),
            policy: Policy::read(&policies).expect("the fixture is right"),
            limits: Limits::default(),
            known: Known::fresh(&Named::nothing()),
        }
    }

    /// Decides on a call; whether it is allowed, and the bytes that this took.
    fn decide(&self, tool: &str, arguments: &str) -> (bool, u64) {
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
        );
        let presented =
            Presented { caller: self.caller, jwt: Some(&self.jwt), prompt: Some(&self.prompt) };
        let rules = Rules {
            verifier: &self.verifier,
            pins: &self.pins,
            policy: &self.policy,
            limits: &self.limits,
        };
        let facts = Facts { counters: Counters::default(), now_unix_ns: NOW_S * 1_000_000_000 };
        let before = Counting::bytes();
        let allowed =
            gate::decide(message.as_bytes(), presented, rules, (facts, &self.known)).is_ok();
        (allowed, Counting::bytes() - before)
    }
}

/// Checks that no doubling of the input more than doubles the work, but for what is fixed.
fn grows_no_faster_than_its_input(what: &str, work: impl Fn(usize) -> u64, sizes: &[usize]) {
    let counted: Vec<u64> = sizes.iter().map(|size| work(*size)).collect();
    for (pair, size) in counted.windows(2).zip(&sizes[1..]) {
        let most = 2 * pair[0] + pair[0] / 2 + FIXED_BYTES;
        assert!(pair[1] <= most, "{what} at {size}: {counted:?} bytes");
    }
}

#[test]
fn twice_the_arguments_are_no_more_than_twice_the_work() {
    let judge = Judge::shipped();
    judge.decide("ledger.query", "{}");
    let sizes: Vec<usize> = (7..=20).map(|power| 1 << power).collect();
    let fill = |part: &str, bytes: usize| part.repeat(bytes / part.len());
    type Make<'a> = &'a dyn Fn(usize) -> String;
    let families: [(&str, &str, Make<'_>); 9] = [
        ("a long text", "ledger.adjust", &|n| {
            format!(r#"{{"entry_id":1,"amount_cents":1,"reason":"{}"}}"#, fill("x", n))
        }),
        ("a text of escapes", "ledger.adjust", &|n| {
            format!(r#"{{"entry_id":1,"amount_cents":1,"reason":"{}"}}"#, fill("\\u0041", n))
        }),
        ("members without end", "ledger.adjust", &|n| {
            let members: Vec<String> = (0..n / 12).map(|nth| format!(r#""{nth:07}":1"#)).collect();
            format!("{{{}}}", members.join(","))
        }),
        ("a list", "ledger.adjust", &|n| format!(r#"{{"entry_id":[{}1]}}"#, fill("1,", n))),
        ("a list of objects", "ledger.adjust", &|n| {
            format!(r#"{{"reason":[{}{{}}]}}"#, fill(r#"{"a":[{}]},"#, n))
        }),
        ("depth", "ledger.adjust", &|n| {
            format!(r#"{{"reason":{}1{}}}"#, fill("[", n / 2), fill("]", n / 2))
        }),
        ("a long number", "ledger.adjust", &|n| format!(r#"{{"entry_id":{}}}"#, fill("1", n))),
        ("spaces", "ledger.adjust", &|n| {
            format!(r#"{{"entry_id":1,{}"amount_cents":1,"reason":"x"}}"#, fill(" ", n))
        }),
        ("SQL beyond its length", "ledger.query", &|n| {
            format!(
                r#"{{"sql":"SELECT id FROM merchants WHERE id = 1{} LIMIT 1"}}"#,
                fill(" OR id = 1", n)
            )
        }),
    ];
    for (what, tool, arguments) in families {
        let work = |size: usize| judge.decide(tool, &arguments(size)).1;
        grows_no_faster_than_its_input(what, work, &sizes);
    }
}

/// A body that is too long is refused by its length, whatever is in it.
#[test]
fn an_argument_of_4_mib_costs_nothing() {
    let judge = Judge::shipped();
    let of = |bytes: usize, part: &str| {
        let reason = part.repeat(bytes / part.len());
        judge.decide(
            "ledger.adjust",
            &format!(r#"{{"entry_id":1,"amount_cents":1,"reason":"{reason}"}}"#),
        )
    };
    assert!(of(100, "x").0, "the control");
    for part in ["x", "\\u0041", "\\\"", "é"] {
        let (allowed, bytes) = of(4 << 20, part);
        assert!(!allowed && bytes < FIXED_BYTES, "{part}: {bytes} bytes");
    }
}

/// The left-deep chains and nests that make a parser slow, from short to as long as the gate reads, and
/// in each dialect.
#[test]
fn twice_the_statement_is_no_more_than_twice_the_work() {
    let ledger = gate::corpus::ledger();
    for dialect in [Dialect::Postgres, Dialect::Mysql, Dialect::Sqlite, Dialect::Generic] {
        let profile = SqlProfile { dialect, ..ledger.clone() };
        for (head, part, tail) in [
            ("SELECT id FROM merchants WHERE id = 1", " OR id = 1", " LIMIT 5"),
            ("SELECT id FROM merchants WHERE id = 1", " AND id = 1", " LIMIT 5"),
            ("SELECT 1", "+1", " FROM merchants LIMIT 5"),
            ("SELECT ''", " || ''", " FROM merchants LIMIT 5"),
            ("SELECT id FROM merchants WHERE id IN (1", ", 1", ") LIMIT 5"),
            ("SELECT id", ", id", " FROM merchants LIMIT 5"),
            ("SELECT id FROM merchants", " UNION SELECT id FROM merchants", " LIMIT 5"),
            ("SELECT id FROM merchants", ", merchants", " LIMIT 5"),
            ("SELECT id FROM merchants", " JOIN merchants ON 1 = 1", " LIMIT 5"),
            ("SELECT ", "(", "id FROM merchants LIMIT 5"),
            ("SELECT ", "lower(", "id FROM merchants LIMIT 5"),
            ("SELECT ", "CASE WHEN ", "id FROM merchants LIMIT 5"),
            ("SELECT ", "NOT ", "id FROM merchants LIMIT 5"),
            ("SELECT ", "(SELECT ", "id FROM merchants LIMIT 5"),
            ("", "(SELECT id FROM ", "merchants LIMIT 5"),
            ("WITH a AS (SELECT 1)", ", a AS (SELECT 1)", " SELECT id FROM merchants LIMIT 5"),
            ("SELECT '", "x", "' FROM merchants LIMIT 5"),
            ("SELECT id FROM merchants", " ", " LIMIT 5"),
        ] {
            let work = |size: usize| {
                let sql = format!("{head}{}{tail}", part.repeat(size / part.len()));
                let before = Counting::bytes();
                let _verdict = gate::sql::check(&sql, &profile);
                Counting::bytes() - before
            };
            let sizes = [64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384];
            grows_no_faster_than_its_input(&format!("{dialect:?} {part:?}"), work, &sizes);
        }
    }
}

/// The control of all of the above: work that is the square of its input is found.
#[test]
#[should_panic(expected = "a square")]
fn a_square_is_found() {
    let square = |size: usize| {
        let before = Counting::bytes();
        (0..size).for_each(|_| drop(std::hint::black_box(vec![0_u8; size])));
        Counting::bytes() - before
    };
    grows_no_faster_than_its_input("a square", square, &[256, 512, 1_024, 2_048, 4_096]);
}
