//! Who may say yes to a call, where the policy names them. Nobody says yes to what is done for himself.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Approvable, Approver, Untrusted};

/// A person who may grant a call. Who a person is, the kernel says by the uid of the login; `sudo` leaves it alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MayGrant {
    /// What the policy calls the person.
    pub name: Untrusted,
    /// The uid of the login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The name of the login, as the host's list of users has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<Untrusted>,
    /// The person's name where runs act for somebody (`atf run --user`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Untrusted>,
}

/// Why a person may not grant a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MayNotGrant {
    /// It is the person's own.
    #[error("{0} may not grant a call of a run that acts for {1}: nobody grants his own")]
    Own(Who, Untrusted),
    /// The policy names others, or nobody.
    #[error("{0} may not grant it; the policy names for this call: {1}")]
    NotNamed(Who, String),
}

/// Who asked, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who(String);

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Approvable {
    /// Whether `approver`, whose login the host calls `login`, may grant it.
    ///
    /// # Errors
    /// When the run acts for that person, or the policy names others.
    pub fn may_be_granted_by(
        &self,
        approver: &Approver,
        login: Option<&str>,
    ) -> Result<(), MayNotGrant> {
        let who = || {
            let uid = approver.login_uid.map_or("unknown".to_owned(), |uid| uid.to_string());
            let login = login.map(|login| format!(" ({})", Untrusted::from(login)));
            Who(format!("{}, login uid {uid}{}", approver.name, login.unwrap_or_default()))
        };
        let is_user = |name: &str| same(name, self.user.raw());
        if is_user(approver.name.raw()) || login.is_some_and(is_user) {
            return Err(MayNotGrant::Own(who(), self.user.clone()));
        }
        let Some(named) = &self.may_grant else { return Ok(()) };
        let is_person = |named: &&MayGrant| {
            let by_uid = named.uid.is_some() && named.uid == approver.login_uid;
            let by_login = named.login.as_ref().map(Untrusted::raw);
            by_uid || (by_login.is_some() && by_login == login && approver.login_uid.is_some())
        };
        // All entries of the person: one of them may be the run's own user.
        let mut of_person = named.iter().filter(is_person).peekable();
        if of_person.peek().is_none() {
            let names: Vec<String> = named.iter().map(|named| named.name.to_string()).collect();
            let names = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
            return Err(MayNotGrant::NotNamed(who(), names));
        }
        let mut names = of_person.flat_map(|named| [Some(&named.name), named.user.as_ref()]);
        match names.any(|name| name.is_some_and(|name| is_user(name.raw()))) {
            true => Err(MayNotGrant::Own(who(), self.user.clone())),
            false => Ok(()),
        }
    }
}

/// Whether two names are of one person: directories do not tell letters by their case.
fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests {
    use super::super::{Digest, RunId};
    use super::*;

    fn call(may_grant: Option<Vec<MayGrant>>) -> Approvable {
        Approvable {
            call: Digest::of(b"call"),
            policy: Digest::of(b"policy"),
            run: RunId::random(),
            target: "ledger.adjust".into(),
            arguments: "{}".into(),
            agent: "clerk".parse().unwrap(),
            user: "alice@example.com".into(),
            task: "T-1".into(),
            may_grant,
        }
    }

    fn named(name: &str, uid: Option<u32>, login: Option<&str>, user: Option<&str>) -> MayGrant {
        MayGrant {
            name: name.into(),
            uid,
            login: login.map(Into::into),
            user: user.map(Into::into),
        }
    }

    /// The attack: a person who is not named, or for whom the run acts, under any of his names.
    #[test]
    fn a_call_is_granted_by_who_is_named_and_never_by_whom_it_is_for() {
        let policy = vec![
            named("bob", Some(1_001), None, None),
            named("carol", None, Some("carol"), None),
            named("al", Some(1_000), None, Some("alice@example.com")),
        ];
        let (open, closed) = (None, Some(policy));
        for (what, may_grant, by, login_uid, login, may) in [
            ("anybody, where nobody is named", &open, "root", None, None, true),
            ("his own, by what he says", &open, "Alice@example.com", None, None, false),
            ("his own, by his login", &open, "x", Some(7), Some("alice@example.com"), false),
            ("bob, by uid", &closed, "bob", Some(1_001), None, true),
            ("bob under another name", &closed, "x", Some(1_001), Some("bob"), true),
            ("who says that he is bob", &closed, "bob", Some(1_002), Some("dave"), false),
            ("who has no login", &closed, "bob", None, None, false),
            ("root's own login", &closed, "bob", Some(0), Some("root"), false),
            ("carol, by login", &closed, "carol", Some(5), Some("carol"), true),
            ("a login without a uid", &closed, "carol", None, Some("carol"), false),
            ("his own, by the policy's word", &closed, "x", Some(1_000), Some("al"), false),
            (
                "bob, who says that he is alice",
                &closed,
                "alice@example.com",
                Some(1_001),
                None,
                false,
            ),
        ] {
            let approver = Approver { uid: 0, login_uid, name: by.into() };
            let found = call(may_grant.clone()).may_be_granted_by(&approver, login);
            assert_eq!(found.is_ok(), may, "{what}: {found:?}");
        }
        let bob = Approver { uid: 0, login_uid: Some(1_001), name: "bob".into() };
        let nobody = call(Some(Vec::new())).may_be_granted_by(&bob, None);
        assert!(nobody.unwrap_err().to_string().ends_with("nobody"));
    }
}
