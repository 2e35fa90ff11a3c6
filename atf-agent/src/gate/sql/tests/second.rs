//! R14: the second parser. `ledger_of` asks it of all other rows.

use super::super::second::IS_BUILT;
use super::{Dialect, ledger_of};

#[test]
fn a_profile_that_asks_for_it_in_vain_is_none() {
    for (dialect, right) in [
        (Dialect::Postgres, IS_BUILT),
        (Dialect::Mysql, false),
        (Dialect::Sqlite, false),
        (Dialect::Generic, false),
    ] {
        let mut profile = ledger_of(dialect);
        profile.second_parser = true;
        assert_eq!(profile.check().is_ok(), right, "{dialect:?}");
        profile.second_parser = false;
        assert_eq!(profile.check(), Ok(()));
    }
}

#[cfg(feature = "second-parser")]
mod built {
    use super::super::super::second::agree;
    use super::super::super::{Class, Rule};
    use super::super::{Dialect, SqlFacts, judge};

    const JOIN: &str = "SELECT m.name, count(e.id) FROM ledger_entries e JOIN merchants m \
                        ON m.id = e.merchant_id WHERE e.status = 'open' GROUP BY m.name LIMIT 5";

    #[test]
    fn it_refuses_what_it_reads_otherwise() {
        let facts = judge(Dialect::Postgres, JOIN).expect("an honest query");
        assert_eq!(agree(JOIN, &facts), Ok(()));
        let change = |change: &dyn Fn(&mut SqlFacts)| {
            let mut facts = facts.clone();
            change(&mut facts);
            agree(JOIN, &facts).map_err(|refusal| refusal.rule)
        };
        assert_eq!(change(&|_| ()), Ok(()));
        assert_eq!(change(&|facts| facts.class = Class::Delete), Err(Rule::R14));
        assert_eq!(change(&|facts| facts.functions.clear()), Err(Rule::R14));
        assert_eq!(change(&|facts| drop(facts.tables.pop_first())), Err(Rule::R14));
        let unseen = |facts: &mut SqlFacts| {
            facts.tables.insert("x".to_owned());
        };
        assert_eq!(change(&unseen), Err(Rule::R14));
    }

    #[test]
    fn it_refuses_what_it_does_not_read() {
        let facts = judge(Dialect::Postgres, JOIN).expect("an honest query");
        for text in ["", "SELECT", &format!("{JOIN}; {JOIN}"), "MERGE", &format!("{JOIN} OFFSET")] {
            let refused = agree(text, &facts).map_err(|refusal| refusal.rule);
            assert_eq!(refused, Err(Rule::R14), "{text}");
        }
    }
}
