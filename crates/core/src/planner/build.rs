//! Pieces that the planners share: a list of steps under construction, and the checks that more than one
//! kind of move asks.

use std::time::Duration;

use super::{Code, Scene};
use crate::action::Action;
use crate::id::{DnsName, RegionName, StepId};
use crate::manifest::{MaxDataLoss, NameRecord};
use crate::observation::{DatabaseObservation, Observed, RegionObservation};
use crate::plan::{Kind, PLAN_VERSION, Phase, Plan, Step};
use crate::time::millis;

/// One question and answer with a part: a provider gives up at 1 s, and may ask twice.
pub(super) const CALL_BOUND_MS: u64 = 2_500;
/// A checkpoint writes all dirty pages: 128 MB of them at 10 MB/s take 13 s; twice that.
pub(super) const CHECKPOINT_BOUND_MS: u64 = 30_000;
/// The cluster manager must notice, promote, and say so: one loop (10 s at Patroni's default) and a half.
pub(super) const PROMOTE_BOUND_MS: u64 = 15_000;
/// After this long without the old primary's closing record its region is taken to be gone too. A clean
/// stop took 0.2 s at the median; users' writes are held meanwhile.
pub(super) const SHUTDOWN_RECORD_BOUND_MS: u64 = 2_000;
/// Update, NOTIFY and transfer to every secondary took 30 ms; a dead server costs one time-out.
pub(super) const NAME_BOUND_MS: u64 = 5_000;
/// Rewind and restart took 8.6–19 s, a base backup of the lab 30 s; four times that.
pub(super) const FOLLOW_BOUND_MS: u64 = 120_000;
/// One write and one read that may each wait the application's own bound of 10 s.
pub(super) const VERIFY_BOUND_MS: u64 = 20_000;

/// Steps under construction.
#[derive(Default)]
pub(super) struct Steps(Vec<Step>);

impl Steps {
    /// Add a step without an undo; returns its name.
    pub(super) fn add(
        &mut self,
        phase: Phase,
        id: &str,
        action: Action,
        needs: &[&StepId],
        bound_ms: u64,
        why: impl Into<String>,
    ) -> StepId {
        let id: StepId = id.parse().expect("step names are made of labels");
        self.0.push(Step {
            id: id.clone(),
            phase,
            action,
            why: why.into(),
            needs: needs.iter().map(|n| (*n).clone()).collect(),
            undo: None,
            bound_ms,
        });
        id
    }

    /// Give the last step its undo.
    pub(super) fn undo(&mut self, action: Action) {
        self.0.last_mut().expect("a step was added just before").undo = Some(action);
    }

    /// The finished plan.
    pub(super) fn into_plan(self, scene: &Scene<'_>, from: RegionName, to: RegionName) -> Plan {
        Plan {
            version: PLAN_VERSION,
            kind: scene.request.kind,
            site: scene.manifest.site.clone(),
            from,
            to,
            base: scene.tenure.epoch,
            max_pause_ms: millis(scene.manifest.objective.max_pause),
            accepted_loss_ms: scene.request.accept_loss_ms,
            steps: self.0,
            prediction: scene.prediction(),
        }
    }
}

/// `move-app-events-test` for `app.events.test`.
pub(super) fn label(name: &DnsName) -> String {
    name.as_str().replace(['.', '_'], "-")
}

pub(super) fn ttl_s(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

impl<'a> Scene<'a> {
    pub(super) fn region(&self, region: &RegionName) -> Option<&'a RegionObservation> {
        self.observation.regions.get(region)
    }

    pub(super) fn records(&self) -> &'a [NameRecord] {
        &self.manifest.names.records
    }

    /// The database of a region, or a block that says it was not observed.
    pub(super) fn need_database(&mut self, region: &RegionName) -> Option<&'a DatabaseObservation> {
        let database = self.region(region).map(|r| &r.database);
        self.need(database, region, "database")
    }

    /// A part, or a block that says it was not observed.
    pub(super) fn need<T>(
        &mut self,
        part: Option<&'a Observed<T>>,
        region: &RegionName,
        what: &str,
    ) -> Option<&'a T> {
        let why = match part {
            Some(Observed::Seen { value, .. }) => return Some(value),
            Some(Observed::NotObserved { why }) => why.as_str(),
            None => "nobody looked",
        };
        self.block(
            Code::NotObserved,
            region,
            format!("{what} not observed: {why}"),
            format!("make the {what} of {region} reachable from here, or see `bascule status`"),
        );
        None
    }

    /// The gate and pool of the region that will take writes must answer.
    pub(super) fn need_pool(&mut self, region: &RegionName) {
        let pool = self.region(region).map(|r| &r.pool);
        let nobody = matches!(self.observation.open_operation.seen(), Some(None));
        if let Some(pool) = self.need(pool, region, "pool")
            && pool.held
            && nobody
        {
            self.warn(
                Code::HeldAlready,
                region,
                "the pool holds its clients at this moment, and no operation is open",
                "this move will release it",
            );
        }
    }

    /// At least one instance of the region must be there to serve users.
    pub(super) fn need_instances(&mut self, region: &RegionName, by: Kind) {
        let compute = self.region(region).map(|r| &r.compute);
        let Some(compute) = self.need(compute, region, "compute") else { return };
        // While the active region is gone, nobody can write: alive is all that can be asked.
        let (able, word) = match by {
            Kind::Switchover | Kind::Reinstate | Kind::Restore => (compute.ready, "ready"),
            Kind::Failover => (compute.alive, "alive"),
        };
        let wanted = compute.wanted;
        if able == 0 {
            self.block(
                Code::NoInstances,
                region,
                format!("none of {wanted} application instances is {word}"),
                "start them: users would find nobody behind the load balancer",
            );
        } else if able < wanted {
            self.warn(
                Code::Degraded,
                region,
                format!("{able} of {wanted} application instances are {word}"),
                "the rest of them should run before the load moves",
            );
        }
    }

    /// Every name must be seen to point at one of the two regions, by at least one server.
    pub(super) fn need_names(&mut self, from: &RegionName, to: &RegionName) {
        for record in self.records() {
            let expected = [from, to].map(|region| self.manifest.address(record, region));
            let answers = self.observation.names.get(&record.name).map_or(&[][..], Vec::as_slice);
            let seen: Vec<_> = answers.iter().filter_map(|a| Some((a, a.answer.seen()?))).collect();
            if seen.is_empty() {
                self.block(
                    Code::NameMismatch,
                    &record.name,
                    format!("none of {} DNS servers answers for it", answers.len()),
                    "start at least one authoritative server and the one that takes updates",
                );
            }
            for (server, answer) in seen {
                if answer.addresses.len() != 1 || !expected.contains(&answer.addresses[0]) {
                    self.block(
                        Code::NameMismatch,
                        &record.name,
                        format!("{} answers {:?}", server.server, answer.addresses),
                        format!("point it at {} ({}) first", expected[0], from),
                    );
                }
            }
        }
    }

    /// Say what it costs that no more than so much may be lost.
    pub(super) fn warn_waits(&mut self, from: &RegionName, to: &RegionName) {
        let limit = self.manifest.automatic.as_ref().map(|policy| policy.max_data_loss);
        let Some(MaxDataLoss::Bytes(bytes)) = limit else { return };
        let when = if bytes == 0 {
            format!("each write in {to} waits until {from} has it on disk")
        } else {
            format!("writes in {to} wait while {from} is {bytes} bytes or more behind")
        };
        let after = [from, to].into_iter().find_map(|r| self.region(r)?.database.seen()?.followed_after_us);
        let cost = match after {
            Some(us) => format!("{}.{} ms a time, as measured last", us / 1000, us % 1000 / 100),
            None => "how long that takes was not measured, since nothing follows or nothing was written"
                .to_owned(),
        };
        self.warn(
            Code::WritesWait,
            to,
            format!(
                "max_data_loss: once {from} follows, {when} ({cost}), and nobody can write while it does not"
            ),
            "with max_data_loss = \"unlimited\" only the objective limits what a failover may lose",
        );
    }

    /// Warn about members that are not well.
    pub(super) fn warn_members(&mut self, region: &RegionName, database: &DatabaseObservation) {
        let (well, all) = database.well();
        if well < all {
            self.warn(
                Code::Degraded,
                region,
                format!("{well} of {all} database members are well"),
                "it could not lose another member without an outage",
            );
        }
    }
}
