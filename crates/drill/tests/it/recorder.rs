//! What counts as acknowledged survives the process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use bascule_core::time::Timestamp;
use bascule_drill::recorder::{Recorder, Sender};
use bascule_drill::recording::{Ack, Entry, Mark, RECORDING_VERSION, Recording, Start};
use bascule_drill::{At, recording::RECORDING_FILE};

/// Tells the test, started again as its own child, to record until it is killed.
const CHILD: &str = "BASCULE_DRILL_RECORD_INTO";

fn start() -> Entry {
    let (run, started) = ("r1".to_owned(), Timestamp(0));
    Entry::Start(Start {
        version: RECORDING_VERSION,
        run,
        started,
        writes_per_second: 100,
        probed: Vec::new(),
    })
}

fn ack(number: u64) -> Entry {
    Entry::Ack(Ack { number, id: number, sent: At(number), acked: At(number + 1), served_by: None })
}

/// Records acknowledgements as fast as it can, and says of each count that it is durable.
async fn record_for_ever(dir: PathBuf) {
    let recorder = Recorder::create(&dir).unwrap();
    let mut durable = recorder.durable();
    let sender = recorder.sender();
    sender.record(start()).await.unwrap();
    let record = async |sender: Sender| {
        for number in 1.. {
            sender.record(ack(number)).await.unwrap();
        }
    };
    let tell = async {
        loop {
            durable.changed().await.unwrap();
            let acks = durable.borrow_and_update().acks;
            let mut out = std::io::stdout().lock();
            writeln!(out, "acknowledged {acks}").unwrap();
            out.flush().unwrap();
        }
    };
    tokio::join!(record(sender), tell);
}

#[tokio::test]
async fn every_number_said_to_be_acknowledged_is_in_the_file_after_kill_9() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return record_for_ever(dir.into()).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let name = "recorder::every_number_said_to_be_acknowledged_is_in_the_file_after_kill_9";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = 0;
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let count = |line: &str| line.strip_prefix("acknowledged ").and_then(|count| count.parse::<u64>().ok());
    while said < 5_000 {
        let line = lines.next().expect("the child goes on until it is killed").unwrap();
        said = count(&line).unwrap_or(said);
    }
    child.kill().unwrap();
    // What it had said before the signal came is still in the pipe.
    for line in lines {
        said = count(&line.unwrap()).unwrap_or(said);
    }
    child.wait().unwrap();

    let recording = Recording::read(dir.path()).unwrap();
    let recorded: Vec<u64> = recording.acks.iter().map(|ack| ack.number).collect();
    assert!(recorded.len() as u64 >= said, "{} are recorded, {said} were said", recorded.len());
    assert!(recorded.iter().copied().eq(1..=recorded.len() as u64), "none is missing between");
    assert!(recording.end.is_none(), "and it can be told that the load died");
}

#[tokio::test]
async fn a_recording_is_never_written_over() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(RECORDING_FILE), "evidence").unwrap();
    assert!(Recorder::create(dir.path()).is_err());
    assert_eq!(std::fs::read_to_string(dir.path().join(RECORDING_FILE)).unwrap(), "evidence");
}

#[tokio::test]
async fn a_mark_is_followed_by_the_first_write_sent_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::create(dir.path()).unwrap();
    let sender = recorder.sender();
    let mark = Entry::Mark(Mark { name: "fault".into(), at: At(100) });
    // 99 was on its way when it was marked; 120 is answered before 110.
    let late = |number, acked| Ack { number, id: 0, sent: At(number), acked: At(acked), served_by: None };
    let acks = [late(99, 105), late(110, 140), late(120, 130), late(150, 151)].map(Entry::Ack);
    for entry in [start(), mark].into_iter().chain(acks) {
        sender.record(entry).await.unwrap();
    }
    drop(sender);
    let durable = recorder.durable();
    recorder.finish().await.unwrap();
    let seen = durable.borrow().marks["fault"].clone();
    assert_eq!(seen.first_ack.map(|ack| ack.number), Some(120));
    assert_eq!(Recording::read(dir.path()).unwrap().acks.len(), 4);
}

#[tokio::test]
async fn a_disk_that_fails_is_heard_of() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::create(dir.path()).unwrap();
    let sender = recorder.sender();
    sender.record(start()).await.unwrap();
    // The recorder refuses what it cannot keep in bounds, as it fails when the disk does.
    for number in 0..100 {
        if sender.record(Entry::Mark(Mark { name: number.to_string(), at: At(0) })).await.is_err() {
            break;
        }
    }
    let mut durable = recorder.durable();
    let broken = durable.wait_for(|durable| durable.broken.is_some()).await.unwrap().broken.clone();
    assert_eq!(broken.as_deref(), Some("more than 64 marks in one run"));
    drop(sender);
    assert!(recorder.finish().await.is_err());
}
