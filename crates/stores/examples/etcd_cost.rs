//! What calls cost on a cluster of three on this machine: `cargo run --release -p bascule-stores --example etcd_cost`.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "an example fails by panicking; it uses some of the tests' parts"
)]

#[path = "../tests/it/etcd.rs"]
mod etcd;
#[path = "../tests/it/site.rs"]
mod site;

use std::time::{Duration, Instant};

use bascule_core::ports::{JournalStore as _, ReportStore as _, TenureStore as _, TenureWatch as _};
use bascule_core::vantage::Place;

use crate::site::{committed, founded, grip, header, intent, operation, renewed, report};

const TIMES: u64 = 200;

fn show(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_secs_f64() * 1e3;
    println!("{what}: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms", at(50), at(99), at(100));
}

async fn time<F: Future>(call: F) -> (F::Output, Duration) {
    let begun = Instant::now();
    let answer = call.await;
    (answer, begun.elapsed())
}

#[tokio::main]
async fn main() {
    let cluster = etcd::Cluster::start().await;
    let (store, other) = (cluster.store([0, 1, 2]), cluster.store([1, 2, 0]));
    store.advance(founded()).await.unwrap();
    let term = store.begin(&header("first")).await.unwrap();
    let (mut renew, mut rival, mut look, mut place, mut append, mut beat, mut told) =
        (vec![], vec![], vec![], vec![], vec![], vec![], vec![]);
    for at in 0..TIMES {
        renew.push(time(store.advance(renewed(1, "east"))).await.1);
        // As the second keeper does: what it knows of the tenure is a renewal behind, unless a watch has told it.
        rival.push(time(other.advance(renewed(1, "east"))).await.1);
        look.push(time(store.tenure()).await.1);
        place.push(time(store.report(&Place::Witness, &report(at))).await.1);
        append.push(time(store.append(&operation("first"), grip(term), at, &[intent(at)])).await.1);
        beat.push(time(store.beat(&operation("first"), term)).await.1);
        let seen = store.tenure().await.unwrap();
        let watcher = other.clone();
        let watching = tokio::spawn(async move {
            watcher.changed(seen.as_ref()).await.unwrap();
            Instant::now()
        });
        tokio::task::yield_now().await;
        store.advance(renewed(1, "east")).await.unwrap();
        let made = Instant::now();
        told.push(watching.await.unwrap().saturating_duration_since(made));
    }
    show("renew", renew);
    show("renew, by the other keeper", rival);
    show("look at the tenure", look);
    show("report", place);
    show("append", append);
    show("beat", beat);
    show("from the change to the watcher", told);
    println!("commit: {:.2} ms", time(store.advance(committed("first"))).await.1.as_secs_f64() * 1e3);
    println!(
        "read {TIMES} entries: {:.2} ms",
        time(store.read(&operation("first"))).await.1.as_secs_f64() * 1e3
    );
}
