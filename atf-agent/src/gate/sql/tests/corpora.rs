//! The labelled corpora, which are not part of the project: `ATF_CORPORA` or `../shared/corpora`
//! beside the workspace.

use std::path::PathBuf;
use std::process::Command;

use crate::gate::sql::corpus::{ledger, run};

/// The folder, if it is there. Without it a test proves nothing, which CI must not take for a pass.
fn corpora() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpora");
    let folder = std::env::var_os("ATF_CORPORA").map_or_else(|| beside.into(), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("the corpora are missing: set ATF_CORPORA to their folder");
    assert!(
        std::env::var_os("CI").is_none(),
        "the corpora are missing in CI"
    );
    None
}

fn is_right(text: &str) {
    let report = run(text.lines().map(str::to_owned), &ledger()).unwrap();
    println!(
        "{} cases, {} right, {} skipped",
        report.cases, report.right, report.skipped
    );
    let wrong = (&report.false_allow, &report.false_deny);
    assert_eq!(wrong, (&vec![], &vec![]), "(false allows, false denies)");
    assert!(report.right > 0);
}

#[test]
fn the_labelled_statements_are_judged_as_labelled() {
    let Some(folder) = corpora() else { return };
    is_right(&std::fs::read_to_string(folder.join("sql_cases_dev.jsonl")).unwrap());
}

#[test]
fn injection_payloads_in_slots_are_judged_as_labelled() {
    let Some(folder) = corpora() else { return };
    let file = folder.join("sqli_templated_dev.jsonl.gz");
    let output = Command::new("gzip").arg("-dc").arg(file).output().unwrap();
    assert!(output.status.success());
    is_right(&String::from_utf8(output.stdout).unwrap());
}

#[test]
fn scratch() {
    let text = std::fs::read_to_string("/tmp/q.jsonl").unwrap();
    let mut profile = ledger();
    for line in text.lines() {
        let v: serde_json::Value = serde_json::from_str(line).unwrap();
        profile.dialect = serde_json::from_value(v["dialect"].clone()).unwrap();
        match crate::gate::sql::check(v["sql"].as_str().unwrap(), &profile) {
            Ok(_) if v["expect"] == "deny" => println!("ALLOWED {} {}", v["dialect"], v["sql"]),
            Err(e) if v["expect"] == "allow" => println!("{} {}\n     {e} {:?}", v["dialect"], v["sql"], e.detail),
            _ => {}
        }
    }
}

#[test]
fn slow() {
    let frags = ["(", "SELECT", "id", "FROM", "merchants", ",", "NOT", "CASE", "WHEN", "-", "1", "AND", "OR", "+", "=", "IN", "JOIN", "ON", "UNION", "AS", "x", ")", "EXISTS", "lower(", "count(", "INTERVAL", "CAST(", "::int", "IS NULL", "LIKE", "BETWEEN", "DIV", "GLOB", "MATCH", "REGEXP", "'a'", ".", "OVER (", "date", "'a',", "ARRAY", "ROW", "THEN", "ELSE", "END", "WITH", "AS (", "STRUCT", "TRIM(", "EXTRACT(", "ANY(", "ALL(", "LIMIT", "VALUES", "NATURAL", "LATERAL", "OFFSET", "TABLE", "CONVERT(", "MAP", "POSITION(", "SUBSTRING(", "timestamp", "time zone", "AT TIME ZONE", "COLLATE", "not in (", "ORDER BY", "GROUP BY", "PARTITION BY", "FILTER (", "WITHIN GROUP (", "IF(", "JSON_OBJECT("];
    let mut worst = vec![];
    let mut profile = ledger();
    let prefixes = ["SELECT ", "SELECT id FROM ", "SELECT id FROM merchants WHERE ", "WITH x AS (", "SELECT id FROM merchants LIMIT "];
    let mut n = 0u64;
    for d in ["mysql", "postgres", "sqlite"] {
        profile.dialect = serde_json::from_value(d.into()).unwrap();
        for p in prefixes {
            for a in frags { for b in frags {
                    let unit = format!("{a} {b} ");
                    let opens = unit.matches('(').count();
                    let closes = unit.matches(')').count();
                    let reps = if opens > closes { 15 / (opens - closes) } else { 2000 / unit.split_whitespace().count().max(4).max(unit.len()/4) };
                    let text = format!("{p}{}", unit.repeat(reps));
                    n += 1; std::fs::write("/tmp/sql-last.txt", format!("{d}\n{text}")).unwrap();
                    let t = std::time::Instant::now();
                    let _ = crate::gate::sql::check(&text, &profile);
                    let e = t.elapsed();
                    if e.as_millis() > 40 { worst.push((e, d, p, unit)); }
            }}
        }
    }
    worst.sort(); worst.reverse();
    println!("{n} {}", worst.len());
    for w in worst.iter().take(40) { println!("{w:?}"); }
}

#[test]
fn one() {
    let t = std::fs::read_to_string("/tmp/last.txt").unwrap();
    let (d, text) = t.split_once('\n').unwrap();
    let mut profile = ledger();
    profile.dialect = serde_json::from_value(d.into()).unwrap();
    for kib in [256, 512, 1024, 1536, 2048, 4096, 8192, 16384, 65536].into_iter().rev() {
        let (text, profile) = (text.to_owned(), profile.clone());
        std::thread::Builder::new().stack_size(kib * 1024).spawn(move || {
            let t = std::time::Instant::now();
            println!("{kib} {:?} {:?}", crate::gate::sql::check(&text, &profile).map_err(|e| (e.to_string(), e.detail)), t.elapsed());
        }).unwrap().join().unwrap();
    }
}

#[test]
fn levels() {
    use sqlparser::dialect::PostgreSqlDialect;
    let mut hist = std::collections::BTreeMap::<usize, (usize, String)>::new();
    let mut profile = ledger();
    let files = ["/work/shared/corpora/sql_cases_dev.jsonl", "/tmp/allow.jsonl"];
    for f in files { for line in std::fs::read_to_string(f).unwrap().lines() {
        let v: serde_json::Value = serde_json::from_str(line).unwrap();
        profile.dialect = serde_json::from_value(v["dialect"].clone()).unwrap();
        if v["dialect"] != "postgres" { continue; }
        let sql = v["sql"].as_str().unwrap();
        if crate::gate::sql::check(sql, &profile).is_err() { continue; }
        for n in 1..60 {
            let d = PostgreSqlDialect {};
            let r = sqlparser::parser::Parser::new(&d).with_recursion_limit(n).try_with_sql(sql).unwrap().parse_query();
            if r.is_ok() { let e = hist.entry(n).or_default(); e.0 += 1; e.1 = sql.to_owned(); break; }
        }
    }}
    for (n, (c, q)) in hist { println!("{n}: {c} {q}"); }
    // stack per level
    for (a, b) in [("(", ")"), ("position(", " in 1)"), ("lower(", ")"), ("cast(", " as int)"), ("case when ", " then 1 end"), ("not ", ""), ("(select ", ")"), ("exists (select 1 from x where ", ")"), ("extract(day from ", ")"), ("trim(", ")"), ("interval ", ""), ("array[", "]"), ("substring(", ")"), ("overlay(", " placing 1 from 2)")] {
        for lv in [8usize, 16] {
            let text = format!("select {}1{}", a.repeat(lv), b.repeat(lv));
            let mut need = 0;
            for kib in (140..4000).step_by(20) {
                // stacker grows below 128 KiB, so growth is avoided only when enough is left; detect by address range
                let text = text.clone();
                let _ = (kib, &text); need = kib; break;
            }
            let text2 = text.clone();
            let used = std::thread::Builder::new().stack_size(64 << 20).spawn(move || {
                let d = PostgreSqlDialect {};
                let _ = sqlparser::parser::Parser::new(&d).with_recursion_limit(100).try_with_sql(&text2).unwrap().parse_query().is_ok();
                // count touched pages of this thread's stack
                let local = 0u8; let top = &raw const local as usize;
                let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
                let mut hit = false; 
                for l in maps.lines() {
                    if let Some((r, _)) = l.split_once(' ') && let Some((s, e)) = r.split_once('-') && let (Ok(s), Ok(e)) = (usize::from_str_radix(s, 16), usize::from_str_radix(e, 16)) { hit = s <= top && top < e; }
                    if hit && l.starts_with("Rss:") { return l.to_owned(); }
                }
                String::new()
            }).unwrap().join().unwrap();
            println!("{a} {lv} {need} {used}");
        }
    }
}
