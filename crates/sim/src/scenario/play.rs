//! Playing a script in the fake world.

use std::fmt::Write as _;
use std::time::Duration;

use bascule_core::id::OperationId;
use bascule_core::observation::Observation;
use bascule_core::operation::Outcome;
use bascule_core::plan::Plan;
use bascule_core::planner::{Assessment, Finding};
use bascule_core::ports::StoreError;
use bascule_engine::crash::CrashPoint;
use bascule_engine::executor::Error;
use bascule_engine::observer;
use tokio::time::sleep;

use super::{Ending, Line, Verb, expect, parse};
use crate::drive::{self, Command, Run};
use crate::site::Site;

/// Why a script did not play to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// It can't be read.
    #[error(transparent)]
    Invalid(#[from] super::InvalidScript),
    /// A line asks for what is not there.
    #[error("line {line}: {what}\n{transcript}")]
    Impossible {
        /// Which line.
        line: usize,
        /// What is missing.
        what: String,
        /// All up to there.
        transcript: String,
    },
    /// Something was expected and is not so, or must never be and is.
    #[error("line {line}: {what}\n{transcript}")]
    Unmet {
        /// Which line.
        line: usize,
        /// What is so instead.
        what: String,
        /// All up to there.
        transcript: String,
    },
}

/// What happens beside the next controller.
#[derive(Default)]
struct Beside {
    crash: Option<CrashPoint>,
    rival: Option<(bool, u64)>,
    faults: Vec<(u64, Verb)>,
}

/// A script that is being played.
pub(super) struct Stage {
    pub site: Site,
    pub assessment: Option<Assessment>,
    pub ending: Option<Ending>,
    pub rival: Option<Ending>,
    beside: Beside,
    operation: Option<OperationId>,
    operations: u32,
    out: String,
}

/// Play a script, on a runtime whose clock is paused; returns what happened.
///
/// # Errors
/// See [`Failed`].
pub async fn play(script: &str) -> Result<String, Failed> {
    let lines = parse(script)?;
    let mut stage = Stage {
        site: Site::new(1).await,
        assessment: None,
        ending: None,
        rival: None,
        beside: Beside::default(),
        operation: None,
        operations: 0,
        out: String::new(),
    };
    for line in &lines {
        let _ = writeln!(stage.out, "> {}", line.text);
        if let Err(what) = stage.act(&line.verb).await {
            return Err(Failed::Impossible { line: line.number, what, transcript: stage.out });
        }
        stage.judge(line).await?;
    }
    Ok(stage.out)
}

impl Stage {
    async fn judge(&mut self, line: &Line) -> Result<(), Failed> {
        let mut unmet = self.site.sim.with(|s| s.violations.first().cloned());
        if let Verb::Expect(expected) = &line.verb {
            unmet = unmet.or(expect::unmet(self, expected).await);
        }
        match unmet {
            None => Ok(()),
            Some(what) => Err(Failed::Unmet { line: line.number, what, transcript: self.out.clone() }),
        }
    }

    fn tell(&mut self, text: impl AsRef<str>) {
        let _ = writeln!(self.out, "  {}", text.as_ref());
    }

    async fn act(&mut self, verb: &Verb) -> Result<(), String> {
        match verb {
            Verb::Observe => {
                let observation = observer::observe(&self.site.world).await;
                self.tell_observation(&observation);
            }
            Verb::Plan { kind, to, accept_loss_ms } => {
                let assessment = drive::assess(&self.site, *kind, to, *accept_loss_ms).await;
                self.tell_assessment(&assessment);
                self.assessment = Some(assessment);
                self.site.sim.with(|s| s.longest_pause_ms = 0);
            }
            Verb::Apply => {
                let plan = self.plan()?;
                self.operations += 1;
                let id: OperationId =
                    format!("op-{}", self.operations).parse().map_err(|e| format!("{e}"))?;
                self.operation = Some(id);
                self.control(Command::Apply(Box::new(plan))).await?;
            }
            Verb::Crash(point) => self.beside.crash = Some(point.clone()),
            Verb::Rival { abort, at_ms } => self.beside.rival = Some((*abort, *at_ms)),
            Verb::Resume => self.control(Command::Resume).await?,
            Verb::Abort => self.control(Command::Abort).await?,
            Verb::Abandon => self.control(Command::Abandon).await?,
            Verb::RegionLoss { at_ms: Some(ms), .. } | Verb::CutReplication { at_ms: Some(ms) } => {
                self.beside.faults.push((*ms, verb.clone()));
            }
            Verb::RegionLoss { .. }
            | Verb::CutReplication { .. }
            | Verb::Return(_)
            | Verb::CutController(_)
            | Verb::Lag(_)
            | Verb::Heal => strike(&self.site, verb),
            Verb::Wait(ms) => sleep(Duration::from_millis(*ms)).await,
            Verb::Expect(_) => {}
        }
        Ok(())
    }

    fn plan(&self) -> Result<Plan, String> {
        let assessment =
            self.assessment.as_ref().ok_or("there is no plan to apply: write plan … before it")?;
        let plan = assessment.runnable().ok_or("the plan is blocked: write expect blocked CODE instead")?;
        Ok(plan.clone())
    }

    /// Run a controller, with all that happens beside it.
    async fn control(&mut self, command: Command) -> Result<(), String> {
        let id = self.operation.clone().ok_or("no operation has begun: write apply before it")?;
        let beside = std::mem::take(&mut self.beside);
        self.site.sim.with(|s| s.trace.clear());
        let began_ms = self.site.sim.now_ms();
        let site = &self.site;
        let faults = async {
            for (at_ms, verb) in &beside.faults {
                sleep(Duration::from_millis((began_ms + at_ms).saturating_sub(site.sim.now_ms()))).await;
                strike(site, verb);
            }
        };
        let rival = async {
            let (abort, at_ms) = beside.rival?;
            sleep(Duration::from_millis(at_ms)).await;
            site.sim.say("a second controller takes over");
            let command = if abort { Command::Abort } else { Command::Resume };
            Some(drive::run(site, &id, command, None).await)
        };
        let (run, rival, ()) =
            tokio::join!(drive::run(site, &id, command, beside.crash.clone()), rival, faults);
        self.tell_trace(began_ms);
        self.ending = Some(self.ended("", &run)?);
        self.rival = match rival {
            Some(run) => Some(self.ended("rival: ", &run)?),
            None => None,
        };
        Ok(())
    }

    fn ended(&mut self, who: &str, run: &Run) -> Result<Ending, String> {
        let (ending, word) = match run {
            Run::Ended(Outcome::Succeeded) => (Ending::Succeeded, "succeeded".to_owned()),
            Run::Ended(outcome @ Outcome::Aborted { .. }) => (Ending::Aborted, outcome.to_string()),
            Run::Ended(outcome @ Outcome::Abandoned { .. }) => (Ending::Abandoned, outcome.to_string()),
            Run::Died => (Ending::Died, "died".to_owned()),
            Run::Stopped(error) => {
                let ending = match error {
                    Error::Stalled { .. } => Ending::Stalled,
                    Error::PastCommit { .. } => Ending::PastCommit,
                    Error::NotCommitted { .. } | Error::NotLost { .. } => Ending::Refused,
                    Error::Store(StoreError::Fenced(_)) => Ending::Fenced,
                    Error::Store(_) | Error::Illegal(..) => return Err(error.to_string()),
                };
                (ending, error.to_string())
            }
        };
        self.tell(format!("= {who}{word}"));
        Ok(ending)
    }

    /// The journal and what befell the world, with times since the controller began; without intents,
    /// which say nothing that their outcomes do not.
    fn tell_trace(&mut self, began_ms: u64) {
        for line in self.site.sim.with(|s| s.trace.clone()) {
            let Some((at, what)) = line.split_once("ms  ") else { continue };
            let at_ms = at.trim().parse::<u64>().unwrap_or(0).saturating_sub(began_ms);
            let record = what.strip_prefix("journal: ");
            let intent = record.is_some_and(|r| r.ends_with(".intent") || r.ends_with(".undo-intent"));
            let event = ["is lost", "is back", "is cut", "controller", "rewound", "tenure:"];
            if record.is_some() && !intent || event.iter().any(|word| what.contains(word)) && record.is_none()
            {
                self.tell(format!("{at_ms:>6} ms  {}", record.unwrap_or(what)));
            }
        }
    }

    fn tell_assessment(&mut self, assessment: &Assessment) {
        if let Some(plan) = &assessment.plan {
            for step in &plan.steps {
                let needs =
                    step.needs.iter().map(bascule_core::id::StepId::as_str).collect::<Vec<_>>().join(", ");
                let after = if needs.is_empty() { String::new() } else { format!(" after {needs}") };
                self.tell(format!("{:<8} {}{after}", step.phase.as_str(), step.id));
            }
        }
        let say =
            |word: &str, f: &Finding| format!("{word} {} {}: {}", f.code.as_str(), f.subject, f.message);
        let blocks = assessment.blocks.iter().map(|f| say("blocked", f));
        let lines: Vec<String> =
            blocks.chain(assessment.warnings.iter().map(|f| say("warning", f))).collect();
        lines.iter().for_each(|line| self.tell(line));
    }

    fn tell_observation(&mut self, observation: &Observation) {
        let tenure = observation
            .tenure
            .seen()
            .map_or("no tenure".to_owned(), |t| format!("{} is active in epoch {}", t.active, t.epoch));
        self.tell(tenure);
        for (name, region) in &observation.regions {
            let text = if region.is_dark() {
                "not observed".to_owned()
            } else {
                let database = region.database.seen().map_or("unknown".to_owned(), |d| {
                    let feed = if d.streaming { ", fed" } else { "" };
                    let timeline = d.position.map_or(0, |p| p.timeline.0);
                    format!("{:?} on timeline {timeline}{feed}", d.role)
                });
                let gate = region.gate.seen().map_or("unknown", |g| g.state.as_str());
                let held = region.pool.seen().map_or("unknown", |p| if p.held { "held" } else { "free" });
                format!("database {database}; gate {gate}; pool {held}")
            };
            self.tell(format!("{name}: {text}"));
        }
        for (name, answers) in &observation.names {
            let seen: Vec<String> = answers
                .iter()
                .map(|a| {
                    a.answer.seen().map_or("-".to_owned(), |r| format!("{} ({} s)", r.addresses[0], r.ttl_s))
                })
                .collect();
            self.tell(format!("{name}: {}", seen.join(", ")));
        }
    }
}

/// Bend the world.
fn strike(site: &Site, verb: &Verb) {
    site.sim.with(|s| match verb {
        Verb::RegionLoss { region, .. } => s.lose(region),
        Verb::Return(region) => s.bring_back(region),
        Verb::CutReplication { .. } => {
            s.link_up = false;
            s.say("replication is cut");
        }
        Verb::CutController(region) => s.region(region).reachable = false,
        Verb::Lag(ms) => s.lag_ms = *ms,
        Verb::Heal => {
            (s.link_up, s.lag_ms) = (true, crate::site::LAG_MS);
            s.regions.values_mut().for_each(|r| r.reachable = true);
        }
        Verb::Observe
        | Verb::Plan { .. }
        | Verb::Apply
        | Verb::Crash(_)
        | Verb::Rival { .. }
        | Verb::Resume
        | Verb::Abort
        | Verb::Abandon
        | Verb::Wait(_)
        | Verb::Expect(_) => {}
    });
}
