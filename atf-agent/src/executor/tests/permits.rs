//! Permits, row by row: each that is not whole is refused for its own reason.

use super::*;

#[test]
fn an_honest_permit_is_acted_on_and_only_once() {
    let world = World::new();
    let first = world.sign(world.query());
    let again = serde_json::from_slice(&serde_json::to_vec(&first).unwrap()).unwrap();
    let ExecutorReply::Result { result } = world.ask(first) else {
        panic!("not acted on");
    };
    let result: Value = serde_json::from_str(result.get()).unwrap();
    assert_eq!(result["structuredContent"]["rows"], json!([[1], [2]]));
    assert_eq!(result["isError"], false);
    let ExecutorReply::Refused { why } = world.ask(again) else {
        panic!("acted on twice");
    };
    assert!(why.raw().contains("was used"), "{why}");
}

/// One change to an honest request, and why it is refused then.
type Row<'a> = (&'a dyn Fn(&mut Draft), &'a str);

/// Each row is refused for its own reason, and an honest request beside it is not.
#[track_caller]
fn check(world: &World, rows: &[Row<'_>]) {
    for (change, why) in rows {
        let mut draft = world.query();
        change(&mut draft);
        let found = world.refused(draft);
        assert!(found.contains(why), "expected {why:?}, found {found:?}");
        let control = world.result(world.query());
        assert_eq!(control["isError"], false, "the control of {why:?}");
    }
}

#[test]
fn a_permit_that_is_not_the_gateway_s_of_now_and_here_is_refused() {
    let world = World::new();
    let at = now();
    check(
        &world,
        &[
            (&|d| d.permit_key = foreign(), "permit's code"),
            (&|d| d.permit_key = Arc::clone(&world.recorder), "permit's code"),
            (&|d| d.tamper = |r| body(r, |b| b.push(' ')), "permit's code"),
            (&|d| d.permit.nonce = Digest::of(b"before"), "nonce"),
            (&|d| d.permit.expires_unix_s = at, "expires"),
            (&|d| d.permit.expires_unix_s = at + 3_600, "expires"),
            (&|d| d.permit.arguments = Digest::of(b"{}"), "arguments"),
            (&|d| d.tamper = |r| arguments(r, r#"{"sql":"SELECT 1"}"#), "arguments"),
            (&|d| d.permit.pin = Some(Digest::of(b"pin")), "pin"),
            (&|d| d.permit.cgroup.0 += 1, "cgroup"),
            (&|d| other_run(d, RunId::random()), "cgroup"),
        ],
    );
    let other = world.draft("ledger.other", &json!({}));
    assert!(world.refused(other).contains("not one of this executor's"));
}

#[test]
fn a_token_that_is_not_the_run_s_of_now_and_for_this_tool_is_refused() {
    let world = World::new();
    check(
        &world,
        &[
            (&|d| d.permit.token = Digest::of(b"other"), "not the one that the permit names"),
            (&|d| d.claims.aud = "elsewhere".into(), "token is not good"),
            (&|d| d.claims.iss = "somebody".into(), "token is not good"),
            (&expire, "token is not good"),
            (&|d| d.claims.jti = RunId::random(), "of run"),
            (&|d| d.claims.entitlements.allowed_tools.truncate(0), "does not name ledger.query"),
            (
                &|d| d.permit.target = Target::Tool("ledger.none".parse().unwrap()),
                "does not name ledger.none",
            ),
            (&|d| d.claims.entitlements.narrowing = narrowed("99"), "does not allow these"),
        ],
    );
}

/// The amount of an adjustment is at most this. The drafts adjust by 100 or query.
fn narrowed(most: &str) -> Narrowing {
    let properties = format!(r#"{{"amount_cents":{{"maximum":{most}}},"sql":{{"maxLength":5}}}}"#);
    let fragment = format!(r#"[{{"properties":{properties}}}]"#);
    let tools = format!(r#"{{"ledger.adjust":{fragment},"ledger.query":{fragment}}}"#);
    serde_json::from_str(&tools).unwrap()
}

/// The attack: arguments that a reader takes for others, which the token allows.
#[test]
fn a_token_is_held_against_the_arguments_that_a_server_gets() {
    let world = World::new();
    let draft = |arguments: &Value| {
        let mut draft = world.draft("ledger.query", arguments);
        let sql = json!({"sql": {"maxLength": 50}});
        let fragment =
            json!([{"required": ["sql"], "properties": sql, "additionalProperties": false}]);
        let narrowing = json!({ "ledger.query": fragment });
        draft.claims.entitlements.narrowing = serde_json::from_value(narrowing).unwrap();
        draft
    };
    let within = json!({"sql": "SELECT id FROM merchants LIMIT 1"});
    assert_eq!(world.result(draft(&within))["isError"], false, "the control");
    let wrapped = json!({ "$serde_json::private::RawValue": within.to_string() });
    assert!(world.refused(draft(&wrapped)).contains("does not allow these"));
}

/// What is asked of a deferred call is asked under the token, the pin and the seal of its tool.
#[test]
fn a_question_about_a_deferred_call_stands_on_its_tool() {
    let world = World::new();
    let asked = || {
        let mut draft = world.draft("ledger.query", &json!({"taskId": "theirs"}));
        let (tool, asks) = ("ledger.query".parse().unwrap(), Deferral::Result);
        draft.permit.target = Target::Deferred(Deferred { tool, asks });
        draft
    };
    let control = world.refused(asked());
    assert!(control.contains("not one of this executor's"), "the control passes all: {control}");
    let rows: [Row<'_>; 7] = [
        (&|d| d.claims.entitlements.allowed_tools.truncate(0), "does not name ledger.query"),
        (&expire, "token is not good"),
        (&|d| d.permit.pin = None, "pin"),
        (&|d| d.permit.pin = Some(Digest::of(b"pin")), "pin"),
        (&|d| d.tamper = |r| arguments(r, r#"{"taskId":"another"}"#), "arguments"),
        (
            &|d| d.tamper = |r| body(r, |b| *b = b.replace("\"result\"", "\"cancel\"")),
            "permit's code",
        ),
        (&|d| other_run(d, RunId::random()), "cgroup"),
    ];
    for (change, why) in rows {
        let mut draft = asked();
        change(&mut draft);
        let found = world.refused(draft);
        assert!(found.contains(why), "expected {why:?}, found {found:?}");
    }
    world.seals(&[1]);
    assert!(world.refused(asked()).contains("sealed"));
}

/// The attack: a second `ref` or `taskId` beside the one that the permit is for. Most readers take the last.
#[test]
fn a_completion_and_a_question_about_a_deferred_call_have_no_member_more() {
    let world = World::new();
    let of = |target: &Target, said: &str| {
        let mut draft = world.query();
        draft.permit.target = target.clone();
        draft.permit.pin = target.of_tool().and(draft.permit.pin);
        draft.claims.entitlements.reach = Reach {
            prompts: vec!["f.allowed".parse().unwrap()],
            resources: vec!["f+x:*".parse().unwrap()],
            ..Reach::default()
        };
        draft.permit.arguments = Digest::of(said.as_bytes());
        draft.arguments = RawValue::from_string(said.to_owned()).unwrap();
        world.refused(draft)
    };
    let asks = Deferral::Get;
    let deferred = Target::Deferred(Deferred { tool: "ledger.query".parse().unwrap(), asks });
    let argument = r#""argument":{"name":"n","value":"v"}"#;
    let secret = r#""ref":{"type":"ref/prompt","name":"secret"}"#;
    for target in [
        Target::PromptArgument("f.allowed".parse().unwrap()),
        Target::TemplateArgument("f+x:{y}".parse().unwrap()),
    ] {
        for good in [format!("{{{argument}}}"), format!(r#"{{{argument},"context":{{}}}}"#)] {
            let found = of(&target, &good);
            assert!(found.contains("not one of this executor's"), "the control {good}: {found}");
        }
        for bad in [
            format!("{{{argument},{secret}}}"),
            format!("{{{secret},{argument}}}"),
            format!("{{{argument},{}}}", secret.replace("ref\"", "r\\u0065f\"")),
            format!("{{{argument},{}}}", secret.replace("\"ref\"", "\"Ref\"")),
            format!(r#"{{{argument},"_meta":{{}}}}"#),
            format!("{{{argument},{argument}}}"),
            r#"{"context":{}}"#.to_owned(),
            r#"[{"name":"n","value":"v"}]"#.to_owned(),
            r#"[{"name":"n","value":"v"},null]"#.to_owned(),
        ] {
            let found = of(&target, &bad);
            assert!(found.contains("not those of such a request"), "{bad}: {found}");
        }
    }
    let found = of(&deferred, r#"{"taskId":"theirs"}"#);
    assert!(found.contains("not one of this executor's"), "the control: {found}");
    for bad in [
        r#"{"taskId":"theirs","taskId":"another"}"#,
        r#"{"taskId":"theirs","task\u0049d":"another"}"#,
        r#"{"taskId":"theirs","_meta":{}}"#,
        r#"{"taskId":1}"#,
        r#"["theirs"]"#,
        "{}",
    ] {
        let found = of(&deferred, bad);
        assert!(found.contains("not those of such a request"), "{bad}: {found}");
    }
}

#[test]
fn a_receipt_that_is_not_the_recorder_s_for_this_permit_is_refused() {
    let world = World::new();
    check(
        &world,
        &[
            (&|d| d.receipt_key = foreign(), "receipt's code"),
            (&|d| d.receipt_key = Arc::clone(&world.gateway), "receipt's code"),
            (&|d| d.tamper = |r| receipt(r, |receipt| receipt.body.seq += 1), "receipt's code"),
            (
                &|d| d.tamper = |r| receipt(r, |receipt| receipt.body.permit = Digest::of(b"")),
                "receipt's code",
            ),
            (&|d| d.receipt_permit = Some(Digest::of(b"other")), "not for this permit"),
            (&|d| d.durable = false, "queued"),
        ],
    );
}

#[test]
fn a_sealed_run_and_a_kernel_that_does_not_say_are_refused() {
    let world = World::new();
    for (answers, why) in
        [(&[1][..], "kernel says so"), (&[2], "map is gone"), (&[0, 1], "kernel says so")]
    {
        world.seals(answers);
        let found = world.refused(world.query());
        assert!(found.contains(why), "expected {why:?}, found {found:?}");
        assert_eq!(world.result(world.query())["isError"], false, "the control");
    }
}

fn other_run(draft: &mut Draft, run: RunId) {
    draft.permit.run = run;
    draft.claims.jti = run;
}

fn expire(draft: &mut Draft) {
    draft.claims.iat -= 200;
    draft.claims.nbf -= 200;
    draft.claims.exp -= 100;
}

fn body(request: &mut ExecutorRequest, change: impl Fn(&mut String)) {
    if let ExecutorRequest::Execute { permit, .. } = request {
        change(&mut permit.body);
    }
}

fn receipt(request: &mut ExecutorRequest, change: impl Fn(&mut Receipt)) {
    if let ExecutorRequest::Execute { receipt, .. } = request {
        change(receipt);
    }
}

fn arguments(request: &mut ExecutorRequest, other: &str) {
    if let ExecutorRequest::Execute { arguments, .. } = request {
        *arguments = RawValue::from_string(other.to_owned()).unwrap();
    }
}

/// Waits until the executor looks again at what is published.
fn looked_again() {
    std::thread::sleep(2 * crate::executor::published::LOOK_EVERY);
}

#[test]
fn keys_and_pins_are_read_again_when_they_change_and_missed_when_they_are_gone() {
    let mut world = World::new();
    assert_eq!(world.result(world.query())["isError"], false, "the control");
    let pin = world.places.policy_dir.join("tools/ledger.query.json");
    let good = std::fs::read(&pin).unwrap();
    std::fs::write(&pin, r#"{"name": "ledger.query", "inputSchema": {"type": "array"}}"#).unwrap();
    looked_again();
    assert!(world.refused(world.query()).contains("pin"));
    std::fs::write(&pin, good).unwrap();
    looked_again();
    assert_eq!(world.result(world.query())["isError"], false, "the control");

    world.gateway = foreign();
    assert!(world.refused(world.query()).contains("permit's code"));
    crate::state::files::publish(
        &world.places.permit_key(),
        world.gateway.public().hex().as_bytes(),
    )
    .unwrap();
    looked_again();
    assert_eq!(world.result(world.query())["isError"], false, "the new key");
    for path in [world.places.jwks(), world.places.receipt_key(), world.places.permit_key()] {
        let good = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        looked_again();
        assert!(world.refused(world.query()).contains("cannot trust"));
        std::fs::write(&path, good).unwrap();
        looked_again();
        assert_eq!(world.result(world.query())["isError"], false, "it is back");
    }
}
