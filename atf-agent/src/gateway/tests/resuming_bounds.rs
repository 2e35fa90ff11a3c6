//! What is kept for clients that lost their connection has bounds, whoever reads slowly, not at all, or again and again.

use std::time::Duration;

use super::client::adjust;
use super::doubles::Mood;
use super::lab::{Lab, Wanted};
use super::resuming_lab::{
    Reader, TOOLS, answers, begun, free, lab, live, lost, of_one_call, wants, with,
};

/// A lab that keeps so much for so long.
async fn keeps(bytes: usize, lasts_ms: u64) -> Lab {
    let mut wanted = Wanted::default();
    (wanted.settings.kept_bytes_per_run_max, wanted.settings.kept_for_ms) = (bytes, lasts_ms);
    with(wanted).await
}

/// The flood: call after call whose answer nobody comes back to.
#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_goes_for_the_newest_in_bytes_and_in_number() {
    for (bytes, answer, least) in [(20_000, 4_000, 3), (1 << 20, 10, 64)] {
        let lab = keeps(bytes, 60_000).await;
        answers(&lab, answer);
        let run = lab.run(&TOOLS);
        let session = begun(&run, "2025-11-25").await;
        let mut ids = Vec::new();
        for _ in 0..least + 6 {
            let mut reader = Reader::prefers(&run, &session, &adjust(1)).await;
            ids.push(reader.next().await.expect("it is primed").0);
            reader.ends().await;
        }
        lab.until("the places are free", |lab| (free(lab, &run) == 16).then_some(())).await;
        let (count, held) = live(&lab, &run).kept.holds();
        assert!((least..least + 3).contains(&count) && count <= 64, "{count}");
        assert!(held <= bytes && held >= least * answer, "{held}");
        let mut first = Reader::resumes(&run, &session, &ids[0]).await;
        first.ends().await;
        assert_eq!(first.status(), "400", "the oldest");
        let mut last = Reader::resumes(&run, &session, ids.last().unwrap()).await;
        assert!(last.next().await.is_some(), "the newest");
        assert_eq!(last.status(), "200");
    }
}

/// An answer that is more than may be kept is read by who is there, and by nobody later.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_more_than_may_be_kept_is_not() {
    let lab = keeps(20_000, 60_000).await;
    let run = lab.run(&TOOLS);
    let session = begun(&run, "2025-11-25").await;
    let small = lost(&lab, &run, &session).await;
    answers(&lab, 100_000);
    let mut reader = Reader::prefers(&run, &session, &adjust(1)).await;
    let (whole, _) = reader.next().await.expect("it is primed");
    assert!(reader.next().await.expect("the answer").1.is_some());
    let gone = lost(&lab, &run, &session).await;
    for (id, status) in [(&small, "200"), (&whole, "400"), (&gone, "400")] {
        let mut reader = Reader::resumes(&run, &session, id).await;
        reader.ends().await;
        assert_eq!(reader.status(), status);
    }
    assert_eq!(live(&lab, &run).kept.holds().0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_kept_for_its_time() {
    let lab = keeps(1 << 20, 300).await;
    let run = lab.run(&TOOLS);
    let session = begun(&run, "2025-11-25").await;
    let id = lost(&lab, &run, &session).await;
    let held = live(&lab, &run).kept.holds();
    assert!(held.0 == 1 && held.1 > 0, "{held:?}");
    tokio::time::sleep(Duration::from_millis(400)).await;
    let mut late = Reader::resumes(&run, &session, &id).await;
    late.ends().await;
    assert_eq!(late.status(), "400");
    let is_empty = |lab: &Lab| (live(lab, &run).kept.holds() == (0, 0)).then_some(());
    lab.until("it is forgotten", is_empty).await;
}

/// An operator may have nothing kept: no event has an id, and none is primed.
#[tokio::test(flavor = "multi_thread")]
async fn without_bytes_nothing_is_kept_and_nobody_is_told_that_it_was() {
    let lab = keeps(0, 60_000).await;
    let run = lab.run(&TOOLS);
    let session = begun(&run, "2025-11-25").await;
    let mut reader = Reader::posts(&run, &session, ("2025-11-25", &wants())).await;
    assert_eq!(reader.next().await, None);
    assert!(reader.all.contains("3 rows") && !reader.all.contains("id: "), "{}", reader.all);
    assert_eq!(live(&lab, &run).kept.holds(), (0, 0));
}

/// The attack: a client that is half open holds the only place of its run. It comes back, and that one is cut off.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_holds_its_place_until_its_client_comes_back() {
    let lab = of_one_call().await;
    answers(&lab, 900_000);
    let run = lab.run(&TOOLS);
    let session = begun(&run, "2025-11-25").await;
    lab.executor.mood.set(Mood::Waits);
    let mut stuck = Reader::posts(&run, &session, ("2025-11-25", &wants())).await;
    let (id, _) = stuck.next().await.expect("it is primed");
    lab.executor.mood.set(Mood::Works);
    lab.until("the outcome", |lab| (lab.outcomes().len() == 1).then_some(())).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(free(&lab, &run), 0, "the control");
    let mut reader = Reader::resumes(&run, &session, &id).await;
    assert!(reader.next().await.is_some(), "progress");
    assert!(reader.next().await.expect("the answer").1.is_some());
    assert_eq!(reader.next().await, None);
    lab.until("its place is free", |lab| (free(lab, &run) == 1).then_some(())).await;
    stuck.ends().await;
    assert!(!stuck.all.ends_with("0\r\n\r\n"), "it was cut off");
}

/// The attack: what is kept is asked for and not read, so that it stays in memory. It goes all the same.
#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_and_does_not_read_holds_nothing() {
    let lab = keeps(1_000_000, 60_000).await;
    answers(&lab, 900_000);
    let run = lab.run(&TOOLS);
    let session = begun(&run, "2025-11-25").await;
    let id = lost(&lab, &run, &session).await;
    let mut stuck = Reader::resumes(&run, &session, &id).await;
    assert!(stuck.next().await.is_some(), "progress");
    lost(&lab, &run, &session).await;
    let (count, held) = live(&lab, &run).kept.holds();
    assert!(count == 1 && held < 1_000_000, "{count}, {held}");
    stuck.ends().await;
    assert!(!stuck.all.ends_with("0\r\n\r\n"), "it was cut off");
    let gone = lab.run(&TOOLS);
    assert_eq!(live(&lab, &gone).kept.holds(), (0, 0), "another run's is its own");
}

/// A client that comes back as fast as it can, and each time anew, has one stream.
#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_again_and_again_has_one_stream() {
    let lab = lab().await;
    let run = lab.run(&TOOLS);
    let session = begun(&run, "2025-11-25").await;
    lab.executor.mood.set(Mood::Waits);
    let mut first = Reader::posts(&run, &session, ("2025-11-25", &wants())).await;
    let (id, _) = first.next().await.expect("it is primed");
    let mut readers = Vec::new();
    // More than a run has connections.
    for _ in 0..100 {
        let mut reader = Reader::resumes(&run, &session, &id).await;
        assert!(reader.next().await.is_some());
        readers.push(reader);
    }
    assert_eq!(live(&lab, &run).kept.holds().0, 1);
    lab.executor.mood.set(Mood::Works);
    let mut last = readers.pop().unwrap();
    assert_eq!(last.next().await.expect("the answer").1.unwrap()["id"], 7);
    for mut one in readers {
        one.ends().await;
        assert!(!one.all.contains("3 rows"), "{}", one.all);
    }
}
