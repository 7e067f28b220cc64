//! The world as the core's ports.
//!
//! A call is a message: it travels for a few milliseconds, is carried out whether or not the caller still
//! waits, and its answer travels back. A caller that is killed or gives up does not take it back.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bascule_core::id::{DnsName, Epoch, RegionName};
use bascule_core::manifest::{Manifest, Target};
use bascule_core::observation::{
    AddressRecord, ClusterRole, ComputeObservation, DatabaseObservation, GateObservation, GateState,
    MemberObservation, NameAnswer, Observed, PoolObservation,
};
use bascule_core::ports::{
    Database, Divergence, FrontDoor, Gate, Log, LogEnd, Names, Pool, PortError, Progress, Record,
};
use bascule_core::position::{Lsn, Position, Timeline};
use bascule_core::time::Timestamp;
use bascule_engine::world::Clock as _;
use tokio::time::sleep;

use crate::fault::Fault;
use crate::log::{Content, RECORD_BYTES, Role};
use crate::site::{EPOCH_MS, Sim};
use crate::state::State;

/// What a provider waits for a host that does not answer.
const CONNECT_MS: u64 = 1_000;
/// Longer than any bound a plan has, in milliseconds.
const FOR_EVER_MS: u64 = 1_000_000;
/// Who is frozen wakes so long after it was let go, at most.
const WAKES_WITHIN_MS: u64 = 100;
/// Users' sessions take so long to be gone once their gate is closed.
const CUT_MS: u64 = 5;

async fn millis(ms: u64) {
    sleep(Duration::from_millis(ms)).await;
}

/// Where a call comes from: a process of a site with keepers, or a person, who reaches everything.
pub(crate) type From = Option<usize>;

/// Wait while the calling process is frozen: it neither sends nor sees an answer meanwhile.
pub(crate) async fn thawed(sim: &Arc<Sim>, from: From) {
    while let Some(ms) = sim.with(|s| s.frozen_for_ms(from)) {
        millis(ms.min(WAKES_WITHIN_MS)).await;
    }
}

/// The time of day, as whoever calls has it.
fn wall(sim: &Arc<Sim>, from: From) -> Timestamp {
    let clocks = sim.with(|s| Some(s.guard.as_ref()?.processes.get(from?)?.clocks.clone()));
    clocks.map_or_else(|| Timestamp(EPOCH_MS + sim.now_ms()), |clocks| clocks.now())
}

/// Carry a call out. `effect` may refuse, with its reason.
async fn call<T: Send + 'static>(
    sim: &Arc<Sim>,
    from: From,
    region: Option<&RegionName>,
    what: String,
    takes_ms: u64,
    effect: impl FnOnce(&mut State) -> Result<T, String> + Send + 'static,
) -> Result<T, PortError> {
    thawed(sim, from).await;
    let bound = Duration::from_millis(
        takes_ms + if sim.with(|s| s.guard.is_some()) { CONNECT_MS } else { FOR_EVER_MS },
    );
    let timed_out = format!("{what}: time-out");
    let answer = tokio::time::timeout(bound, carry(sim, from, region, what, takes_ms, effect)).await;
    thawed(sim, from).await;
    answer.unwrap_or(Err(PortError::Unknown(timed_out)))
}

async fn carry<T: Send + 'static>(
    sim: &Arc<Sim>,
    from: From,
    region: Option<&RegionName>,
    what: String,
    takes_ms: u64,
    effect: impl FnOnce(&mut State) -> Result<T, String> + Send + 'static,
) -> Result<T, PortError> {
    let (sim, region) = (sim.clone(), region.cloned());
    let task = tokio::spawn(async move {
        let fault = sim.strike(&what);
        let travel_ms = sim.with(|s| 1 + s.rng.below(3));
        millis(travel_ms).await;
        if !sim.with(|s| s.reaches(from, region.as_ref())) {
            millis(CONNECT_MS).await;
            return Err(PortError::Refused(format!("{what}: no answer within {CONNECT_MS} ms")));
        }
        match fault {
            Some(Fault::Refused) => return Err(PortError::Refused(format!("{what}: refused"))),
            Some(Fault::LostCall) => return Err(PortError::Unknown(format!("{what}: connection reset"))),
            Some(Fault::Hangs) => millis(FOR_EVER_MS).await,
            Some(Fault::LostAnswer | Fault::SlowAnswer) | None => {}
        }
        if fault == Some(Fault::Hangs) {
            return Err(PortError::Unknown(format!("{what}: time-out")));
        }
        millis(takes_ms).await;
        // What has reached a frozen machine waits there, and is carried out when it wakes.
        while let Some(ms) = region.as_ref().and_then(|r| sim.with(|s| s.region_frozen_for_ms(r))) {
            millis(ms.min(WAKES_WITHIN_MS)).await;
        }
        if region.as_ref().is_some_and(|r| sim.with(|s| !s.region(r).alive)) {
            return Err(PortError::Unknown(format!("{what}: connection lost")));
        }
        let done = sim.with(|s| {
            let done = effect(s);
            match &done {
                Ok(_) => s.say(&what),
                Err(why) => s.say(format!("{what}: refused, {why}")),
            }
            done
        });
        match fault {
            Some(Fault::LostAnswer) => return Err(PortError::Unknown(format!("{what}: connection reset"))),
            Some(Fault::SlowAnswer) => millis(FOR_EVER_MS).await,
            Some(Fault::Refused | Fault::LostCall | Fault::Hangs) | None => {}
        }
        done.map_err(|why| PortError::Refused(format!("{what}: {why}")))
    });
    // A call can't panic without a bug here; then the caller knows nothing, which is what it is told.
    task.await.unwrap_or_else(|_| Err(PortError::Unknown("the call vanished".to_owned())))
}

/// One region's database, log, gate and pool.
pub(crate) struct FakeRegion {
    pub sim: Arc<Sim>,
    pub from: From,
    pub name: RegionName,
}

impl FakeRegion {
    async fn look<T>(&self, see: impl FnOnce(&mut State) -> T) -> Observed<T> {
        match self.ask(|s| Ok(see(s))).await {
            Ok(value) => Observed::Seen { value, at: wall(&self.sim, self.from) },
            Err(error) => Observed::NotObserved { why: error.to_string() },
        }
    }

    async fn ask<T>(&self, see: impl FnOnce(&mut State) -> Result<T, PortError>) -> Result<T, PortError> {
        thawed(&self.sim, self.from).await;
        millis(1).await;
        let there = self.sim.with(|s| {
            let up = s.regions[&self.name].is_up(s.now_ms);
            up && s.reaches(self.from, Some(&self.name))
        });
        if !there {
            millis(CONNECT_MS).await;
            thawed(&self.sim, self.from).await;
            return Err(PortError::Refused(format!("{}: no answer within {CONNECT_MS} ms", self.name)));
        }
        let seen = self.sim.with(see);
        thawed(&self.sim, self.from).await;
        seen
    }

    async fn act<T: Send + 'static>(
        &self,
        what: &str,
        takes_ms: u64,
        effect: impl FnOnce(&mut State, &RegionName) -> Result<T, String> + Send + 'static,
    ) -> Result<T, PortError> {
        let name = self.name.clone();
        let what = format!("{what} {name}");
        call(&self.sim, self.from, Some(&self.name), what, takes_ms, move |s| effect(s, &name)).await
    }
}

fn progress(s: &mut State, name: &RegionName) -> Progress {
    let (streaming, silent_ms) = s.feed(name);
    let now_ms = s.now_ms;
    let log = &s.region(name).log;
    let newest_age_ms = log.newest_age_ms(now_ms);
    Progress {
        received: log.end(),
        replayed: log.end(),
        newest_age_ms,
        streaming,
        silent_ms: Some(silent_ms),
    }
}

#[async_trait]
impl Database for FakeRegion {
    async fn observe(&self) -> Observed<DatabaseObservation> {
        self.look(|s| {
            let progress = progress(s, &self.name);
            let now_ms = s.now_ms;
            let log = &s.region(&self.name).log;
            let role = match log.role {
                Role::Primary => ClusterRole::Primary,
                Role::Standby { ready_ms } if ready_ms > now_ms => ClusterRole::Leaderless,
                Role::Standby { .. } => ClusterRole::Standby,
            };
            let standby = role == ClusterRole::Standby;
            let member: bascule_core::id::MemberName =
                format!("{}-db1", self.name).parse().expect("a region and a suffix");
            DatabaseObservation {
                role,
                leader: Some(member.clone()),
                system_id: "7400000000000000000".to_owned(),
                position: Some(progress.replayed),
                received: standby.then_some(progress.received),
                newest_replayed_age_ms: if standby { progress.newest_age_ms } else { None },
                streaming: progress.streaming,
                silent_ms: if standby { progress.silent_ms } else { None },
                followed_after_us: None,
                members: vec![MemberObservation {
                    name: member,
                    leads: true,
                    state: "running".to_owned(),
                    timeline: Some(log.timeline),
                    lag_bytes: None,
                }],
            }
        })
        .await
    }

    async fn checkpoint(&self) -> Result<(), PortError> {
        self.act("checkpoint", 5, |_, _| Ok(())).await
    }

    async fn stand_down(&self, _follow: SocketAddr) -> Result<(), PortError> {
        self.act("stand-down", 10, |s, name| {
            s.stand_down(name);
            Ok(())
        })
        .await
    }

    async fn promote(&self) -> Result<Position, PortError> {
        self.act("promote", 60, |s, name| Ok(s.promote(name))).await
    }

    async fn renumber(&self) -> Result<Timeline, PortError> {
        self.act("renumber", 3_000, |s, name| Ok(s.renumber(name))).await
    }
}

#[async_trait]
impl Log for FakeRegion {
    async fn end(&self) -> Result<LogEnd, PortError> {
        self.ask(|s| {
            let now_ms = s.now_ms;
            let region = s.region(&self.name);
            if !region.log.is_primary() {
                return Err(PortError::Refused(format!("{} is not a primary", self.name)));
            }
            let connected = region.gate == GateState::Local || now_ms < region.cut_ms + CUT_MS;
            Ok(LogEnd { position: region.log.end(), clients: if connected { 3 } else { 0 } })
        })
        .await
    }

    async fn progress(&self) -> Result<Progress, PortError> {
        self.ask(|s| Ok(progress(s, &self.name))).await
    }

    async fn shutdown_record(&self, from: Lsn) -> Result<Option<Position>, PortError> {
        self.ask(|s| {
            let log = &s.region(&self.name).log;
            let last = log.records.last().filter(|r| r.content == Content::Shutdown);
            Ok(last.map(|_| log.end()).filter(|end| end.lsn.0 >= from.0 + RECORD_BYTES))
        })
        .await
    }

    async fn save_divergence(&self, fork: Position, into: &Path) -> Result<Divergence, PortError> {
        let file = into.file_name().map(|f| f.to_string_lossy().into_owned());
        self.act("save-divergence", 50, move |s, name| {
            // The active region may have been on more than one timeline since: both histories are compared.
            let named = usize::try_from(fork.lsn.0 / RECORD_BYTES).unwrap_or(usize::MAX).saturating_sub(1);
            let other = s.other(name);
            let shared = named.min(s.regions[name].log.common(&s.regions[&other].log));
            let past = s.region(name).log.records.iter().skip(shared);
            let numbers: Vec<u64> = past
                .filter_map(|r| if let Content::Write(number) = r.content { Some(number) } else { None })
                .collect();
            let rows = numbers.len() as u64;
            s.saved.extend(numbers);
            let file = if rows == 0 { None } else { file };
            Ok(Divergence { file, rows, note: format!("{rows} rows past {fork}"), unsaved: None })
        })
        .await
    }

    async fn fork(&self) -> Result<Option<Position>, PortError> {
        self.ask(|s| Ok(s.region(&self.name).log.fork)).await
    }
}

#[async_trait]
impl Gate for FakeRegion {
    async fn observe(&self) -> Observed<GateObservation> {
        self.look(|s| {
            let region = s.region(&self.name);
            let servers_up = u32::from(region.log.is_primary());
            GateObservation { state: region.gate, epoch: region.gate_epoch, servers_up }
        })
        .await
    }

    async fn set(&self, state: GateState, epoch: Epoch) -> Result<(), PortError> {
        let opens_ms = self.sim.with(|s| s.gate_opens_ms);
        let takes_ms = if state == GateState::Local { opens_ms } else { 2 };
        self.act(&format!("gate {} in epoch {epoch}", state.as_str()), takes_ms, move |s, name| {
            let now_ms = s.now_ms;
            let region = s.region(name);
            if epoch < region.gate_epoch {
                return Err(format!("epoch {epoch} is over, {} has begun", region.gate_epoch));
            }
            if state == GateState::Local && !region.log.is_primary() {
                return Err("no server is up".to_owned());
            }
            if state != GateState::Local && region.gate == GateState::Local {
                region.cut_ms = now_ms;
                region.straggler_ms = Some(now_ms + CUT_MS - 1);
            }
            (region.gate, region.gate_epoch) = (state, epoch);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Pool for FakeRegion {
    async fn observe(&self) -> Observed<PoolObservation> {
        self.look(|s| {
            let held = s.region(&self.name).held;
            PoolObservation { held, clients: 20, waiting: if held { 20 } else { 0 } }
        })
        .await
    }

    async fn hold(&self) -> Result<(), PortError> {
        self.act("hold", 3, |s, name| {
            s.region(name).held = true;
            Ok(())
        })
        .await
    }

    async fn release(&self) -> Result<(), PortError> {
        self.act("release", 1, |s, name| {
            s.region(name).held = false;
            Ok(())
        })
        .await
    }
}

/// The names, served at the witness and in both regions.
pub(crate) struct FakeNames {
    pub sim: Arc<Sim>,
    pub from: From,
    pub records: BTreeMap<DnsName, BTreeMap<RegionName, IpAddr>>,
}

#[async_trait]
impl Names for FakeNames {
    async fn observe(&self, name: &DnsName) -> Vec<NameAnswer> {
        thawed(&self.sim, self.from).await;
        millis(1).await;
        let at = wall(&self.sim, self.from);
        self.sim.with(|s| {
            let witness = s.reaches(self.from, None);
            let answer = |there: bool| match (there, s.names.get(name)) {
                (true, Some(found)) => {
                    let addresses = vec![self.records[name][&found.at]];
                    Observed::Seen { value: AddressRecord { addresses, ttl_s: found.ttl_s }, at }
                }
                (true, None) => Observed::NotObserved { why: "no such name".to_owned() },
                (false, _) => Observed::NotObserved { why: "no answer".to_owned() },
            };
            let region = |(r, state): (&RegionName, &crate::state::Region)| NameAnswer {
                server: format!("dns.{r}"),
                answer: answer(state.is_up(s.now_ms) && s.reaches(self.from, Some(r))),
            };
            let mut answers: Vec<NameAnswer> = s.regions.iter().map(region).collect();
            answers.push(NameAnswer { server: "dns.witness".to_owned(), answer: answer(witness) });
            answers
        })
    }

    async fn replace(&self, name: &DnsName, from: &Record, to: &Record) -> Result<(), PortError> {
        let addresses = self.records[name].clone();
        let region_of = move |address: IpAddr| {
            addresses.iter().find(|(_, a)| **a == address).map(|(region, _)| region.clone())
        };
        let (name, from, to) = (name.clone(), from.clone(), to.clone());
        let what = format!("name {name} to {} for {} s", to.address, to.ttl_s);
        call(&self.sim, self.from, None, what, 10, move |s| {
            let (old, new) = (region_of(from.address), region_of(to.address));
            let (Some(old), Some(new)) = (old, new) else { return Err("an unknown address".to_owned()) };
            let now = s.names.get_mut(&name).ok_or("no such name")?;
            if now.at != old && now.at != new {
                return Err(format!("it points at {}, not at {old}", now.at));
            }
            if now.at != old {
                return Ok(());
            }
            (now.at, now.ttl_s) = (new, to.ttl_s);
            Ok(())
        })
        .await
    }
}

/// The way users come in.
pub(crate) struct FakeDoor {
    pub sim: Arc<Sim>,
    pub from: From,
    pub manifest: Manifest,
}

impl FakeDoor {
    fn name_of(&self, target: Target) -> &DnsName {
        let record = self.manifest.names.records.iter().find(|r| r.target == target);
        &record.expect("a parsed manifest has a record for each target").name
    }
}

#[async_trait]
impl FrontDoor for FakeDoor {
    async fn write(&self) -> Result<String, PortError> {
        let (app, db) = (self.name_of(Target::LoadBalancer).clone(), self.name_of(Target::Pool).clone());
        let from = self.from;
        call(&self.sim, from, None, "write through the front door".to_owned(), 5, move |s| {
            let (door, pool) = (s.names[&app].at.clone(), s.names[&db].at.clone());
            if !s.regions[&door].is_up(s.now_ms) || !s.reaches(from, Some(&door)) {
                return Err(format!("{door} does not answer"));
            }
            s.attempt(&pool).ok_or_else(|| format!("{door} answers 503"))?;
            Ok(door.to_string())
        })
        .await
    }

    async fn compute(&self, region: &RegionName) -> Observed<ComputeObservation> {
        let fake = FakeRegion { sim: self.sim.clone(), from: self.from, name: region.clone() };
        let wanted = u32::try_from(self.manifest.regions[region].compute.instances.len()).unwrap_or(u32::MAX);
        fake.look(|s| {
            let writable = s.regions.keys().any(|r| s.takes_writes(r));
            ComputeObservation { alive: wanted, ready: if writable { wanted } else { 0 }, wanted }
        })
        .await
    }
}
