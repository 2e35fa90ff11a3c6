//! Which OCSF class an event is, and the attributes that the class wants.
//!
//! | event | class | why |
//! |---|---|---|
//! | started, policy published | 6002 Application Lifecycle | a process of ATF is an application |
//! | run registered, ended | 1007 Process Activity | a run is a tree of processes |
//! | token minted, answered | 3003 Authorize Session | a token assigns privileges to a session, and so does a person's word on one call |
//! | decided, settled | 6003 API Activity | a tool call is a call of an API |
//! | kernel denied | 4001 Network Activity, Refuse | every vector is an operation on a socket; a finding would open a case for each refused packet |
//! | kernel denied, by the system call filter | 1003 Kernel Activity, Invoke | it is a call, and of no socket |
//! | kernel observed | 4001 Network Activity, Observe | it went through, and nothing may read as if it had not |
//! | sealed, released, finding | 2004 Detection Finding | somebody has to look |

use atf_common::mode::Mode;
use serde_json::{Value, json};

use super::fields::{
    ALLOWED, BLOCKED, Class, FAILURE, ISOLATED, OBSERVED, OTHER, RESOLVED, SUCCESS, Severity,
    action, ai_agent, class, finding, merge,
};
use super::value;
use crate::audit::event::{Call, Event, Judged, Outcome, Verdict};
use crate::call::{AgentName, Approver, DecisionId, Digest, RunId, Untrusted};

pub(super) fn of(event: &Event) -> Class {
    match event {
        Event::Started { .. } => started(),
        Event::RunRegistered { run, uid, agent, user, prompt, .. } => {
            registered(*run, *uid, agent, user, prompt)
        }
        Event::TokenMinted { run, agent, expires_unix_s, .. } => {
            minted(*run, agent, *expires_unix_s)
        }
        Event::RunEnded { run, how, .. } => ended(*run, how),
        Event::Decided { call, verdict } => decided(call, verdict),
        Event::Settled { decision, run, target, outcome, told: _ } => {
            settled(*decision, *run, target, outcome)
        }
        Event::Sealed { run, why, mode, .. } => sealed(*run, why, *mode),
        Event::Released { run, uid } => released(*run, *uid),
        Event::Answered { run, target, granted, approver, .. } => {
            answered(*run, target, *granted, approver)
        }
        Event::PolicyPublished { .. } => published(),
        Event::KernelDenied(judged) => kernel_denied(judged),
        Event::KernelObserved(judged) => kernel_observed(judged),
        Event::Finding { name, run, detail } => found(name, *run, detail),
    }
}

fn started() -> Class {
    let fields = json!({
        "status_id": SUCCESS,
        "app": {"name": "ATF", "vendor_name": "ATF", "version": env!("CARGO_PKG_VERSION")},
    });
    class(6002, 3, Severity::Informational, fields)
}

fn registered(run: RunId, uid: u32, agent: &AgentName, user: &Untrusted, prompt: &Digest) -> Class {
    let fields = json!({
        "status_id": SUCCESS,
        "actor": {"user": {"name": user}},
        "process": {"uid": run, "user": {"uid": uid.to_string()}},
        "ai_agent": ai_agent(Some(agent), run, Some(prompt)),
    });
    class(1007, 1, Severity::Informational, fields)
}

fn ended(run: RunId, how: &Untrusted) -> Class {
    let fields = json!({
        "status_id": SUCCESS,
        "status_detail": how,
        "actor": {"process": {"uid": run}},
        "process": {"uid": run},
        "ai_agent": ai_agent(None, run, None),
    });
    class(1007, 2, Severity::Informational, fields)
}

fn minted(run: RunId, agent: &AgentName, expires_unix_s: u64) -> Class {
    let fields = json!({
        "status_id": SUCCESS,
        "user": {"uid": format!("agent:{agent}"), "type_id": 4},
        "privileges": ["tools of the agent's manifest"],
        "session": {
            "uid": run,
            "expiration_time": expires_unix_s.saturating_mul(1_000),
        },
        "ai_agent": ai_agent(Some(agent), run, None),
    });
    class(3003, 1, Severity::Informational, fields)
}

fn settled(decision: DecisionId, run: RunId, target: &Untrusted, outcome: &Outcome) -> Class {
    let (status, severity) = match outcome {
        Outcome::Answered { .. } => (SUCCESS, Severity::Informational),
        Outcome::NotDone { .. } => (FAILURE, Severity::Low),
        Outcome::Unknown { .. } => (FAILURE, Severity::Medium),
    };
    let fields = json!({
        "activity_name": "Settle",
        "status_id": status,
        "actor": {"process": {"uid": run}},
        "api": {"operation": target, "request": {"uid": decision}},
        "src_endpoint": {"uid": run, "name": "run"},
        "ai_agent": ai_agent(None, run, None),
    });
    class(6003, OTHER, severity, fields)
}

fn sealed(run: RunId, why: &str, mode: Mode) -> Class {
    let mut fields = finding(&format!("seal:{run}"), "run sealed", &value(&why));
    merge(
        &mut fields,
        action(match mode {
            Mode::Enforce => ISOLATED,
            // The gate refuses its calls; nothing else holds it.
            Mode::Observe => BLOCKED,
        }),
    );
    fields["ai_agent"] = ai_agent(None, run, None);
    class(2004, 1, Severity::High, fields)
}

fn released(run: RunId, uid: u32) -> Class {
    let why = value(&format!("released by uid {uid}"));
    let mut fields = finding(&format!("seal:{run}"), "run sealed", &why);
    fields["status_id"] = json!(RESOLVED);
    fields["ai_agent"] = ai_agent(None, run, None);
    class(2004, 2, Severity::Medium, fields)
}

fn published() -> Class {
    let fields = json!({
        "activity_name": "Publish",
        "status_id": SUCCESS,
        "app": {"name": "ATF policy", "vendor_name": "ATF"},
    });
    class(6002, OTHER, Severity::Medium, fields)
}

fn answered(run: RunId, target: &Untrusted, granted: bool, approver: &Approver) -> Class {
    let fields = json!({
        "status_id": if granted { SUCCESS } else { FAILURE },
        "actor": {"user": {"name": approver.name, "uid": approver.uid.to_string()}},
        "user": {"uid": format!("run:{run}"), "type_id": 4},
        "privileges": [target],
        "session": {"uid": run},
        "ai_agent": ai_agent(None, run, None),
    });
    class(3003, 1, Severity::Medium, fields)
}

fn kernel_denied(judged: &Judged) -> Class {
    let mut fields = operation(judged);
    fields["status_id"] = json!(FAILURE);
    merge(&mut fields, action(BLOCKED));
    match judged.vector.strip_prefix(Judged::FILTER) {
        None => class(4001, 5, Severity::Low, fields),
        Some(call) => {
            fields["kernel"] = json!({"name": call, "system_call": call, "type_id": 2});
            class(1003, 4, Severity::Low, fields)
        }
    }
}

fn kernel_observed(judged: &Judged) -> Class {
    let mut fields = operation(judged);
    fields["activity_name"] = json!("Observe");
    fields["status_id"] = json!(SUCCESS);
    merge(&mut fields, action(OBSERVED));
    class(4001, OTHER, Severity::Low, fields)
}

fn operation(judged: &Judged) -> Value {
    let Judged { cgroup, vector, denial, pid, uid, comm, .. } = judged;
    json!({
        "status_code": denial,
        "src_endpoint": {"uid": format!("cgroup:{cgroup}")},
        "app_name": vector,
        "actor": {"process": {"pid": pid, "name": comm, "user": {"uid": uid.to_string()}}},
    })
}

fn found(name: &str, run: Option<RunId>, detail: &Untrusted) -> Class {
    let mut fields = finding(name, name, &value(detail));
    if let Some(run) = run {
        fields["ai_agent"] = ai_agent(None, run, None);
    }
    class(2004, 1, Severity::High, fields)
}

fn decided(call: &Call, verdict: &Verdict) -> Class {
    let named = call.tool.as_ref().or(call.target.as_ref());
    let mut fields = json!({
        "activity_name": "Decide",
        "actor": {"process": {"uid": call.run}},
        "api": {
            "operation": value(&named.or(call.method.as_ref())),
            "request": {"uid": call.decision},
        },
        "src_endpoint": {"uid": call.run, "name": "run"},
        "ai_agent": ai_agent(call.agent.as_ref(), call.run, call.prompt.as_ref()),
    });
    if fields["api"]["operation"].is_null() {
        fields["api"]["operation"] = json!("unread");
    }
    if let Some(user) = &call.user {
        fields["actor"]["user"] = json!({"name": user});
    }
    let severity = match verdict {
        Verdict::Allowed => {
            fields["status_id"] = json!(SUCCESS);
            merge(&mut fields, action(ALLOWED));
            Severity::Informational
        }
        Verdict::Refused { reason, detail, enforced, .. } => {
            fields["status_id"] = json!(FAILURE);
            fields["status_code"] = value(reason);
            fields["status_detail"] = value(detail);
            merge(&mut fields, action(if *enforced { BLOCKED } else { OBSERVED }));
            Severity::Medium
        }
    };
    class(6003, OTHER, severity, fields)
}
