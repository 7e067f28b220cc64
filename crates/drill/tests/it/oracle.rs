//! The oracle against what was planted for it: each thing it must not miss, and each it must not excuse.

use std::collections::BTreeSet;

use bascule_core::time::Timestamp;
use bascule_drill::overlap::double_writer;
use bascule_drill::recording::{
    Ack, End, Failure, FailureKind, Outcome, Probe, ProbeOutcome, RECORDING_VERSION, Recording, Request,
    Start,
};
use bascule_drill::{At, Drill, DrillReport, Found, Lookup, Marks, Move, Objective, Phase, Verdict, judge};

const FROM: &str = "us-east-2";
const TO: &str = "us-west-1";

/// A drill that went well: 100 writes a second for 10 s, a pause from 5.000 s to 5.300 s, probes that saw
/// one writer at a time.
struct Scene {
    recording: Recording,
    lookup: Lookup,
    marks: Marks,
    of: Move,
}

impl Scene {
    fn switchover() -> Self {
        let start = Start {
            version: RECORDING_VERSION,
            run: "r1".into(),
            started: Timestamp(1_795_305_600_000),
            writes_per_second: 100,
            probed: vec![FROM.parse().unwrap(), TO.parse().unwrap()],
        };
        let mut recording = Recording::new(start);
        for (index, ms) in (0..10_000).step_by(10).filter(|ms| !(4_996..5_296).contains(ms)).enumerate() {
            recording.acks.push(ack(index as u64 + 1, ms, ms + 4));
        }
        for ms in (0..10_010).step_by(20) {
            let outcome = |accepts| if accepts { ProbeOutcome::Accepted } else { ProbeOutcome::Refused };
            recording.probes.push(probe(FROM, ms, outcome(ms < 5_000)));
            recording.probes.push(probe(TO, ms, outcome(ms >= 5_200)));
        }
        let (stopped, at) = (At::from_ms(10_000), At::from_ms(10_020));
        let wall = Timestamp(1_795_305_610_021);
        recording.end = Some(End { stopped, at, wall, reads: 200, resolutions: 10 });
        let found = recording.acks.iter().map(|ack| ack.number).collect();
        let phases = [("prepare", 3_000, 4_900), ("drain", 4_900, 5_050), ("open", 5_050, 5_300)];
        let phases = phases.map(|(name, start, end)| Phase {
            name: name.into(),
            start: At::from_ms(start),
            end: At::from_ms(end),
        });
        let marks = Marks {
            fault: None,
            command: At::from_ms(3_000),
            done: At::from_ms(6_000),
            phases: phases.to_vec(),
        };
        let objective = Objective { rpo_ms: 5_000, rto_ms: 60_000, max_pause_ms: 5_000 };
        let (from, to) = (FROM.parse().unwrap(), TO.parse().unwrap());
        let of = Move { drill: Drill::Switchover, from, to, objective };
        Self {
            recording,
            lookup: Lookup::Read(Found { numbers: found, duplicates: BTreeSet::new() }),
            marks,
            of,
        }
    }

    /// The same course, but the region died at 5.000 s and the move was ordered at 5.100 s.
    fn region_loss() -> Self {
        let mut scene = Self::switchover();
        scene.of.drill = Drill::RegionLoss;
        scene.marks.fault = Some(At::from_ms(5_000));
        scene.marks.command = At::from_ms(5_100);
        scene
    }

    fn judge(&self) -> DrillReport {
        judge(&self.recording, &self.lookup, &self.marks, &self.of)
    }

    fn found(&mut self) -> &mut Found {
        match &mut self.lookup {
            Lookup::Read(found) => found,
            Lookup::NotRead(why) => panic!("{why}"),
        }
    }
}

fn ack(number: u64, sent_ms: u64, acked_ms: u64) -> Ack {
    let (sent, acked) = (At::from_ms(sent_ms), At::from_ms(acked_ms));
    Ack { number, id: 1000 + number, sent, acked, served_by: Some("app1.us-east-2".into()) }
}

fn probe(region: &str, ms: u64, outcome: ProbeOutcome) -> Probe {
    let region = region.parse().unwrap();
    Probe { region, sent: At::from_ms(ms), done: At::from_ms(ms + 3), outcome, count: 1, detail: None }
}

fn failure(number: u64, ms: u64, kind: FailureKind, outcome: Outcome) -> Failure {
    let (sent, at) = (At::from_ms(ms), At::from_ms(ms + 2));
    Failure { request: Request::Write(number), sent, at, kind, outcome, detail: "planted".into() }
}

#[track_caller]
fn missed(report: &DrillReport, word: &str) {
    match &report.verdict {
        Verdict::Missed { why } => assert!(why.iter().any(|why| why.contains(word)), "{why:?}"),
        other => panic!("{other:?} is not missed because of {word:?}"),
    }
}

#[track_caller]
fn void(report: &DrillReport, word: &str) {
    match &report.verdict {
        Verdict::Void { why } => assert!(why.iter().any(|why| why.contains(word)), "{why:?}"),
        other => panic!("{other:?} is not void because of {word:?}"),
    }
}

#[test]
fn a_clean_switchover_is_met_and_its_figures_are_right() {
    let report = Scene::switchover().judge();
    assert_eq!(report.verdict, Verdict::Met, "{}", report.to_text());
    assert_eq!((report.acknowledged, report.lost_writes, report.errors), (970, Some(0), 0));
    // From the answer at 4.994 s to the one at 5.304 s.
    assert_eq!((report.write_pause_ms, report.write_pause_at_ms), (Some(310), Some(4_994)));
    assert_eq!((report.pause_before_ms, report.pace_ms), (Some(10), 10));
    assert_eq!((report.rto_ms, report.rpo_ms), (Some(310), Some(0)), "a planned move is down for its pause");
    assert_eq!(report.detection_to_first_write_ms, Some(2_304));
    assert_eq!((report.double_writer_ms, report.double_writer_possible_ms), (Some(0), Some(0)));
    let latency = &report.latency;
    assert_eq!((latency.before.writes, latency.during.writes, latency.after.writes), (300, 271, 399));
    assert_eq!(
        (latency.before.p50_ms, latency.after.p99_ms, latency.during.max_ms),
        (Some(4.0), Some(4.0), Some(4.0))
    );
    assert_eq!(report.phases.len(), 3);
}

#[test]
fn a_clean_region_loss_is_met_and_its_rto_counts_from_the_fault() {
    let report = Scene::region_loss().judge();
    assert_eq!(report.verdict, Verdict::Met, "{}", report.to_text());
    assert_eq!((report.rto_ms, report.detection_to_first_write_ms), (Some(304), Some(204)));
}

#[test]
fn one_lost_write_of_a_switchover_is_found() {
    let mut scene = Scene::switchover();
    let last_before = scene.recording.acks.iter().filter(|ack| ack.acked < At::from_ms(5_000)).count() as u64;
    scene.found().numbers.remove(&last_before);
    let report = scene.judge();
    assert_eq!((report.lost_writes, report.lost.as_slice()), (Some(1), [last_before].as_slice()));
    missed(&report, "1 acknowledged writes are lost");
}

#[test]
fn the_rpo_reaches_back_to_the_last_write_before_which_nothing_is_lost() {
    let mut scene = Scene::region_loss();
    // Answers at 4.954 s (kept), 4.964 s (lost), 4.974 s (kept), 4.984 s and 4.994 s (lost).
    for number in [497, 499, 500] {
        assert!(scene.found().numbers.remove(&number));
    }
    let report = scene.judge();
    assert_eq!(report.rpo_ms, Some(5_000 - 4_954));
    assert_eq!(report.lost_writes, Some(3));
    assert_eq!(report.verdict, Verdict::Met, "loss within the RPO was accepted beforehand");
    scene.of.objective.rpo_ms = 45;
    missed(&scene.judge(), "RPO was 46 ms, over 45 ms: 3 writes are lost");
}

#[test]
fn a_write_acknowledged_after_the_fault_and_lost_stretches_the_rpo() {
    let mut scene = Scene::region_loss();
    let (number, acked) = (600, At::from_ms(6_294));
    assert_eq!(scene.recording.acks[number as usize - 1].acked, acked, "the zombie took it");
    scene.found().numbers.remove(&number);
    let report = scene.judge();
    assert_eq!(report.rpo_ms, Some(10), "from the answer before it to its own");
}

#[test]
fn two_regions_that_take_writes_at_once_are_found() {
    for scene in [Scene::switchover(), Scene::region_loss()] {
        let mut scene = scene;
        for probe in &mut scene.recording.probes {
            if probe.region.as_str() == FROM && (5_000..5_600).contains(&probe.sent.as_ms()) {
                probe.outcome = ProbeOutcome::Accepted;
            }
        }
        let report = scene.judge();
        // From the new region's first write (5.200 s) to the answer to the old one's last (5.583 s).
        assert_eq!(report.double_writer_ms, Some(383));
        assert!(double_writer(&scene.recording.probes).first.is_some());
        missed(&report, "two regions took writes for 383 ms");
    }
}

#[test]
fn an_error_in_a_planned_move_is_missed_and_in_a_region_loss_is_only_told() {
    let error = failure(5_000, 5_100, FailureKind::Status(503), Outcome::Unknown);
    let mut scene = Scene::switchover();
    scene.recording.failures.push(error.clone());
    let report = scene.judge();
    assert_eq!((report.errors, report.unknown_outcomes, report.unknown_found), (1, 1, Some(0)));
    assert_eq!(report.errors_by_kind.get("status 503"), Some(&1));
    missed(&report, "1 errors");

    let mut scene = Scene::region_loss();
    scene.recording.failures.push(error);
    scene.found().numbers.insert(5_000);
    let report = scene.judge();
    assert_eq!((report.verdict.clone(), report.errors, report.unknown_found), (Verdict::Met, 1, Some(1)));
    assert_eq!(report.lost_writes, Some(0), "a write of unknown outcome is not lost");
}

#[test]
fn a_pause_over_the_longest_allowed_is_missed() {
    let mut scene = Scene::switchover();
    scene.of.objective.max_pause_ms = 309;
    missed(&scene.judge(), "writes paused for 310 ms, over 309 ms");
    scene.of.objective.max_pause_ms = 310;
    assert!(scene.judge().verdict.is_met());
}

#[test]
fn a_pause_elsewhere_is_not_the_moves() {
    let mut scene = Scene::switchover();
    scene.recording.acks.retain(|ack| !(8_000..9_500).contains(&ack.sent.as_ms()));
    let report = scene.judge();
    assert_eq!((report.write_pause_ms, report.lost_writes), (Some(310), Some(0)));
}

#[test]
fn a_service_that_never_came_back_is_missed_once_it_was_watched_long_enough() {
    let mut scene = Scene::region_loss();
    scene.recording.acks.retain(|ack| ack.acked < At::from_ms(5_000));
    let report = scene.judge();
    assert_eq!((report.rto_ms, report.write_pause_ms), (None, Some(10_000 - 4_994)));
    void(&report, "no end of the write pause");
    scene.of.objective.rto_ms = 4_999;
    missed(&scene.judge(), "no write was acknowledged in the 5000 ms");
}

#[test]
fn an_answer_that_was_on_its_way_when_the_region_died_does_not_shorten_the_rto() {
    let mut scene = Scene::region_loss();
    scene.recording.acks.push(ack(9_000, 4_999, 5_002));
    scene.found().numbers.insert(9_000);
    assert_eq!(scene.judge().rto_ms, Some(304));
}

#[test]
fn a_move_that_did_not_happen_is_missed_though_nothing_was_lost() {
    let mut scene = Scene::switchover();
    for probe in &mut scene.recording.probes {
        let accepts = probe.region.as_str() == FROM;
        probe.outcome = if accepts { ProbeOutcome::Accepted } else { ProbeOutcome::Refused };
    }
    missed(&scene.judge(), "the move did not happen: us-east-2 takes writes, us-west-1 does not");
}

#[test]
fn a_write_stored_twice_is_missed() {
    let mut scene = Scene::switchover();
    scene.found().duplicates.insert(17);
    missed(&scene.judge(), "1 writes are stored twice");
}

#[test]
fn what_could_not_be_read_is_void_and_never_green() {
    let mut scene = Scene::switchover();
    scene.lookup = Lookup::NotRead("timeout".into());
    let report = scene.judge();
    assert_eq!((report.lost_writes, report.rpo_ms, report.duplicate_writes), (None, None, None));
    void(&report, "could not be looked for: timeout");
}

#[test]
fn what_was_not_seen_is_void() {
    type Blind = fn(&mut Scene);
    let cases: [(&str, Blind); 10] = [
        ("no probe saw us-west-1 take a write after the move", |scene| {
            scene.recording.probes.retain(|probe| probe.sent < At::from_ms(6_000));
        }),
        ("writes were acknowledged before the move", |scene| scene.marks.command = At::from_ms(300)),
        ("writes were acknowledged after the move", |scene| scene.marks.done = At::from_ms(9_900)),
        ("the load did not end in order", |scene| scene.recording.end = None),
        ("wall clock stepped by 979 ms", |scene| {
            let end = scene.recording.end.as_mut().unwrap();
            end.wall = Timestamp(end.wall.0 - 980);
        }),
        ("marks are not in order", |scene| scene.marks.done = At::from_ms(2_000)),
        ("the move ended after the load", |scene| scene.marks.done = At::from_ms(11_000)),
        ("not probed", |scene| scene.recording.start.probed.truncate(1)),
        ("nobody saw if us-west-1 takes writes", |scene| {
            scene.marks.done = At::from_ms(8_000);
            scene
                .recording
                .probes
                .retain(|probe| probe.region.as_str() == FROM || probe.sent < At::from_ms(3_500));
        }),
        ("may have taken writes for", |scene| {
            let slow = scene
                .recording
                .probes
                .iter_mut()
                .rfind(|probe| probe.region.as_str() == FROM && probe.outcome == ProbeOutcome::Accepted);
            slow.unwrap().done = At::from_ms(5_201);
        }),
    ];
    for (word, blind) in cases {
        let mut scene = Scene::switchover();
        blind(&mut scene);
        void(&scene.judge(), word);
    }
}

#[test]
fn a_proven_loss_is_missed_though_other_things_are_unknown() {
    let mut scene = Scene::switchover();
    scene.recording.end = None;
    scene.found().numbers.remove(&1);
    let report = scene.judge();
    missed(&report, "lost");
    assert_eq!(report.unknown.len(), 1, "and the unknown is told beside it");
}

#[test]
fn a_region_that_its_fault_hides_is_told_but_does_not_void() {
    let mut scene = Scene::region_loss();
    let silence = |scene: &mut Scene| {
        for probe in &mut scene.recording.probes {
            if probe.region.as_str() == FROM && probe.outcome == ProbeOutcome::Refused {
                probe.outcome = ProbeOutcome::Unseen;
            }
        }
        scene.recording.probes.retain(|probe| probe.region.as_str() == TO || probe.sent < At::from_ms(5_200));
        scene.marks.done = At::from_ms(9_000);
    };
    silence(&mut scene);
    for drill in [Drill::RegionLoss, Drill::RegionFreeze, Drill::Partition] {
        scene.of.drill = drill;
        let report = scene.judge();
        assert!(report.verdict.is_met(), "{}", report.to_text());
        assert!(report.unwatched_ms[&scene.of.from] > 3_000);
    }
}

#[test]
fn a_report_reads_back_and_refuses_unknown_keys_and_versions() {
    for scene in [Scene::switchover(), Scene::region_loss()] {
        let report = scene.judge();
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(DrillReport::from_json(&json).unwrap(), report);
        assert!(DrillReport::from_json(&json.replacen("\"run\"", "\"ran\"", 1)).is_err());
        let later = json.replacen("\"version\":1", "\"version\":2", 1);
        assert_eq!(DrillReport::from_json(&later).unwrap_err().to_string(), "report version 2 is not 1");
    }
}

#[test]
fn a_report_has_the_keys_that_others_read() {
    let json = serde_json::to_value(Scene::switchover().judge()).unwrap();
    assert_eq!(json["drill"], "switchover");
    assert_eq!((&json["from"], &json["to"]), (&FROM.into(), &TO.into()));
    assert_eq!(json["verdict"], "met");
    for key in
        ["acknowledged", "lost_writes", "errors", "write_pause_ms", "rto_ms", "rpo_ms", "double_writer_ms"]
    {
        assert!(json[key].is_u64(), "{key}: {}", json[key]);
    }
    assert_eq!(json["phases"][1], serde_json::json!({"name": "drain", "start_ms": 4900, "end_ms": 5050}));
}

#[test]
fn the_table_says_the_verdict_first_and_fits_a_terminal() {
    let mut scene = Scene::switchover();
    scene.lookup = Lookup::NotRead("timeout".into());
    let text = scene.judge().to_text();
    assert!(text.starts_with("drill switchover: us-east-2 -> us-west-1   VOID (not knowable)\n"), "{text}");
    assert!(text.contains("of these lost           not known"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}
