//! R13: what is sent in the place of what came. Every row of the other tests comes here too, by [`both`].

pub(super) use super::super::promises::{both, rewriting};
use super::super::rewrite::canonical;
use super::super::{Rule, read};
use super::super::{SqlRefusal, judge as judged};
use super::rows::{ANY, GENERIC, MYSQL, POSTGRES, SQLITE};
use super::writes::writable;
use super::{Dialect, ledger_of};
use crate::gate::sql::profile::Engine;

fn print(dialect: Dialect, text: &str) -> Result<String, SqlRefusal> {
    judged(text, &rewriting(&writable(dialect))).map(|passed| passed.canonical.unwrap())
}

#[test]
fn one_statement_has_one_spelling() {
    for (dialects, came, sent) in [
        (ANY, "SELECT id FROM merchants LIMIT 5", "SELECT id FROM merchants LIMIT 5"),
        (
            ANY,
            "select id from merchants where id in(1,2,3,4,5)limit 5",
            "SELECT id FROM merchants WHERE id IN (1, 2, 3, 4, 5) LIMIT 5",
        ),
        (
            ANY,
            " \t\r\nselect\n id\tfrom merchants limit\r\n5 ; \n",
            "SELECT id FROM merchants LIMIT 5",
        ),
        (
            ANY,
            "select id x,name from merchants m where(id)<>1 and name!='a' order by id desc limit 5",
            "SELECT id AS x, name FROM merchants m WHERE (id) <> 1 AND name <> 'a' ORDER BY id DESC LIMIT 5",
        ),
        (
            ANY,
            "select m.id,count( * )from merchants m left outer join ledger_entries e on e.merchant_id=m.id \
             group by m.id limit 5",
            "SELECT m.id, count(*) FROM merchants m LEFT OUTER JOIN ledger_entries e ON e.merchant_id = m.id \
             GROUP BY m.id LIMIT 5",
        ),
        (
            ANY,
            "SELECT id FROM merchants WHERE name='it''s' LIMIT 5",
            "SELECT id FROM merchants WHERE name = 'it''s' LIMIT 5",
        ),
        (
            ANY,
            "SELECT id FROM merchants WHERE name='''''' or name='a''''b''' LIMIT 5",
            "SELECT id FROM merchants WHERE name = '''''' OR name = 'a''''b''' LIMIT 5",
        ),
        (
            POSTGRES,
            r"SELECT id FROM merchants WHERE name=E'' or name='\''' or name='\' LIMIT 5",
            "",
        ),
        (
            POSTGRES,
            r"SELECT id FROM merchants WHERE name='\''' or name='\' LIMIT 5",
            r"SELECT id FROM merchants WHERE name = '\''' OR name = '\' LIMIT 5",
        ),
        (
            ANY,
            "SELECT id FROM merchants WHERE name='東京\n -- /* Zoë \u{202e}' LIMIT 5",
            "SELECT id FROM merchants WHERE name = '東京\n -- /* Zoë \u{202e}' LIMIT 5",
        ),
        (
            ANY,
            "SELECT id FROM merchants WHERE id=- - -1 and name='--' LIMIT 5",
            "SELECT id FROM merchants WHERE id = - - -1 AND name = '--' LIMIT 5",
        ),
        (
            POSTGRES,
            "SELECT \"id\" FROM \"merchants\" LIMIT 5",
            "SELECT \"id\" FROM \"merchants\" LIMIT 5",
        ),
        (MYSQL, "SELECT `id`  FROM `merchants` LIMIT 5", "SELECT `id` FROM `merchants` LIMIT 5"),
        (
            SQLITE,
            "select id from merchants where name=='a' limit 5",
            "SELECT id FROM merchants WHERE name = 'a' LIMIT 5",
        ),
        (SQLITE, "select [id]\nFROM [merchants] LIMIT 5", "SELECT [id] FROM [merchants] LIMIT 5"),
        (
            POSTGRES,
            "SELECT id::int FROM merchants LIMIT 5",
            "SELECT id::INT FROM merchants LIMIT 5",
        ),
        (
            ANY,
            "insert into ledger_entries(status,amount_cents)values('a',-1),('b''',2)",
            "INSERT INTO ledger_entries (status, amount_cents) VALUES ('a', -1), ('b''', 2)",
        ),
        (
            ANY,
            "update ledger_entries set status='a' where id in(1,2)",
            "UPDATE ledger_entries SET status = 'a' WHERE id IN (1, 2)",
        ),
        (
            ANY,
            "delete from ledger_entries where(id=1)",
            "DELETE FROM ledger_entries WHERE (id = 1)",
        ),
    ] {
        for dialect in dialects {
            let found = print(*dialect, came);
            match sent {
                // Refused by the rules of scanning, and the option opens nothing.
                "" => assert_eq!(found.unwrap_err().rule, Rule::R2, "{dialect:?}: {came}"),
                sent => assert_eq!(found.as_deref(), Ok(sent), "{dialect:?}: {came}"),
            }
        }
    }
}

/// The attack: what one reader takes for white space or for a text, another takes for SQL.
#[test]
fn the_option_lets_no_encoding_in() {
    let inner = "api_key";
    for (dialects, text) in [
        (ANY, format!("SELECT id /* {inner} */ FROM merchants LIMIT 5")),
        (ANY, format!("SELECT id /* /* */ , {inner} /* */ */ FROM merchants LIMIT 5")),
        (ANY, format!("SELECT id -- \n, {inner} FROM merchants LIMIT 5")),
        (MYSQL, format!("SELECT id /*!50000, {inner} */ FROM merchants LIMIT 5")),
        (POSTGRES, format!("SELECT id FROM merchants WHERE name = E'\\'' OR {inner} = '' LIMIT 5")),
        (
            POSTGRES,
            format!("SELECT U&\"\\0061pi_key\" FROM merchants WHERE name = '{inner}' LIMIT 5"),
        ),
        (POSTGRES, format!("SELECT id FROM merchants WHERE name = U&'{inner}' LIMIT 5")),
        (POSTGRES, format!("SELECT id FROM merchants WHERE name = $${inner}$$ LIMIT 5")),
        (POSTGRES, format!("SELECT id FROM merchants WHERE name = $x${inner}$x$ LIMIT 5")),
        (POSTGRES, "SELECT id FROM merchants WHERE name = 'a'\n'b' LIMIT 5".to_owned()),
        (MYSQL, format!("SELECT id FROM merchants WHERE name = '\\' OR {inner} = ' LIMIT 5")),
        (MYSQL, format!("SELECT id FROM merchants WHERE name = \"{inner}\" LIMIT 5")),
        (GENERIC, "SELECT \"id\" FROM merchants LIMIT 5".to_owned()),
    ] {
        for dialect in dialects {
            assert!(both(&text, &ledger_of(*dialect)).is_err(), "{text}");
        }
    }
    for dialect in ANY {
        both(
            &format!("SELECT id FROM merchants WHERE name = '{inner}' LIMIT 5"),
            &ledger_of(*dialect),
        )
        .expect("the control: the word as data");
    }
}

#[test]
fn what_is_too_deep_to_print_is_refused() {
    let chain = |terms: usize| {
        let terms = vec!["id = 1"; terms].join(" OR ");
        format!("SELECT id FROM merchants WHERE {terms} LIMIT 5")
    };
    for dialect in ANY {
        both(&chain(250), &ledger_of(*dialect)).expect("the rules allow it");
        assert_eq!(print(*dialect, &chain(250)).unwrap_err().rule, Rule::R13);
        print(*dialect, &chain(150)).expect("the control");
    }
}

/// The print is compared with what was judged, and not with itself.
#[test]
fn a_print_of_another_tree_or_of_other_facts_is_refused() {
    let profile = ledger_of(Dialect::Sqlite);
    let text = "SELECT id FROM merchants LIMIT 5";
    let of = |text: &str| read(text, &profile, Engine::Sqlite).unwrap();
    let print = |read| canonical(text, &read, &profile, Engine::Sqlite).map_err(|no| no.rule);
    assert_eq!(print(of(text)).as_deref(), Ok(text), "the control");
    assert_eq!(print(of("SELECT id FROM merchants LIMIT 6")), Err(Rule::R13));
    assert_eq!(print(of("SELECT name FROM merchants LIMIT 5")), Err(Rule::R13));
    // The same facts.
    assert_eq!(print(of("SELECT id FROM merchants m LIMIT 5")), Err(Rule::R13));
    let mut other = of(text);
    other.facts.limit = Some(4);
    assert_eq!(print(other), Err(Rule::R13));
}

#[cfg(feature = "second-parser")]
#[test]
fn the_second_parser_compares_texts_and_literals() {
    use super::super::second::same;
    let text = "select id from merchants where name='a' limit 5";
    for (print, is_same) in [
        ("SELECT id FROM merchants WHERE name = 'a' LIMIT 5", true),
        ("SELECT id FROM merchants WHERE name = 'b' LIMIT 5", false),
        ("SELECT id FROM merchants WHERE name <> 'a' LIMIT 5", false),
        ("SELECT name FROM merchants WHERE name = 'a' LIMIT 5", false),
        ("SELECT id FROM merchants WHERE", false),
    ] {
        let found = same(text, print).map_err(|refusal| refusal.rule);
        assert_eq!(found, if is_same { Ok(()) } else { Err(Rule::R13) }, "{print}");
    }
}
