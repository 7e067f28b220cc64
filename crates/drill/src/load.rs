//! The load: users who write, users who read, probes, and a watch on the public name.
//!
//! Writers begin numbered writes at a steady pace; each waits for its answer, and what fell due while it
//! waited is not made up for, so a pause shows as a gap between acknowledgements, not as a crowd after it.
//! A number is sent once. Its end is an acknowledgement, a failure known to have had no effect, or a
//! failure of unknown effect; the last is neither lost nor acknowledged.
//!
//! What users were told is what the [recorder](crate::recorder) has on the disk: [`Load::stop`] gives back
//! what it reads from there, not what it remembers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at};

use crate::app;
use crate::client::{Client, Door};
use crate::lookup::FrontDoor;
use crate::plan::LoadPlan;
use crate::prober::{make_table, probe};
use crate::recorder::{Durable, Recorder, Sender};
use crate::recording::{
    Ack, End, Entry, Failure, Mark, Names, RECORDING_VERSION, Recording, Request, Start, write_name,
};
use crate::resolver::Resolver;
use crate::time::{At, Clock, wall_now};

/// Shortest time between two questions about the name, for TTL 0 or while no server answers: ten a
/// second trouble nobody.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// A load that runs.
#[derive(Debug)]
pub struct Load {
    plan: LoadPlan,
    users: Arc<Users>,
    recorder: Recorder,
    stop: watch::Sender<bool>,
    tasks: JoinSet<anyhow::Result<()>>,
}

/// What all users share.
#[derive(Debug)]
struct Users {
    clock: Clock,
    run: String,
    writes_max: u64,
    door: Arc<Door>,
    token: Arc<str>,
    next: AtomicU64,
    reads: AtomicU64,
    /// Number and id of the write acknowledged last: what readers look at.
    latest: Mutex<Option<(u64, u64)>>,
}

impl Load {
    /// Registers a user, makes the probes' table, and starts all tasks. The site must be healthy.
    ///
    /// # Errors
    /// When the plan is wrong, the folder holds a recording already, the name does not resolve, the
    /// application does not register the user, or no region takes the probes' table.
    pub async fn start(plan: LoadPlan) -> anyhow::Result<Self> {
        plan.check()?;
        let door = Arc::new(Door {
            resolver: Resolver::new(&plan.host, plan.dns_servers.clone())?,
            host: plan.host.clone(),
            port: plan.port,
            connect_timeout: plan.connect_timeout,
            request_timeout: plan.request_timeout,
        });
        let token = register(&door, &plan.run).await?;
        if let Some(login) = &plan.probe_login {
            make_table(&plan.probes, login).await?;
        }
        let recorder = Recorder::create(&plan.dir)?;
        let clock = Clock::start();
        let start = Start {
            version: RECORDING_VERSION,
            run: plan.run.clone(),
            started: clock.started(),
            writes_per_second: plan.writes_per_second,
            probed: plan.probes.iter().map(|target| target.region.clone()).collect(),
        };
        recorder.sender().record(Entry::Start(start)).await?;
        let users = Arc::new(Users {
            clock,
            run: plan.run.clone(),
            writes_max: plan.writes_max,
            door,
            token,
            next: AtomicU64::new(1),
            reads: AtomicU64::new(0),
            latest: Mutex::new(None),
        });
        let mut load = Self { plan, users, recorder, stop: watch::Sender::new(false), tasks: JoinSet::new() };
        load.spawn_all();
        Ok(load)
    }

    fn spawn_all(&mut self) {
        let sender = self.recorder.sender();
        let (writers, readers) = (self.plan.writers, self.plan.readers);
        let (users, stop) = (&self.users, &self.stop);
        let arrivals = (writers, self.plan.writes_per_second);
        self.tasks.spawn(write_all(Arc::clone(users), arrivals, sender.clone(), stop.subscribe()));
        for index in 0..readers {
            let pace = Pace::of(index, readers, self.plan.reads_per_second);
            self.tasks.spawn(read(Arc::clone(users), pace, sender.clone(), stop.subscribe()));
        }
        self.tasks.spawn(watch_name(Arc::clone(users), sender.clone(), stop.subscribe()));
        if let Some(login) = &self.plan.probe_login {
            let login = Arc::new(login.clone());
            for target in &self.plan.probes {
                let (login, clock) = (Arc::clone(&login), users.clock);
                self.tasks.spawn(probe(target.clone(), login, clock, sender.clone(), stop.subscribe()));
            }
        }
    }

    /// The present instant of the run.
    #[must_use]
    pub fn now(&self) -> At {
        self.users.clock.now()
    }

    /// Milliseconds since the load began.
    #[must_use]
    pub fn elapsed_ms(&self) -> u64 {
        self.now().as_ms()
    }

    /// Names the present instant, in the recording too. A name names its first instant.
    ///
    /// # Errors
    /// When nothing more can be recorded.
    pub async fn mark(&self, name: &str) -> anyhow::Result<At> {
        let at = self.now();
        self.recorder.sender().record(Entry::Mark(Mark { name: name.to_owned(), at })).await?;
        Ok(at)
    }

    /// How many acknowledged writes are on the disk.
    #[must_use]
    pub fn acked_count(&self) -> u64 {
        self.recorder.durable().borrow().acks
    }

    /// How many errors users have seen.
    #[must_use]
    pub fn error_count(&self) -> u64 {
        self.recorder.durable().borrow().failures
    }

    /// Waits until `count` acknowledged writes are on the disk.
    ///
    /// # Errors
    /// When they are not within `limit`, or nothing more can be recorded.
    pub async fn wait_for_acks(&self, count: u64, limit: Duration) -> anyhow::Result<()> {
        let waited = self.wait(limit, |durable| (durable.acks >= count).then_some(())).await;
        waited.with_context(|| format!("{} of {count} writes were acknowledged", self.acked_count()))
    }

    /// The first acknowledged write that was sent after `mark`, once it is on the disk.
    #[must_use]
    pub fn first_ack_after(&self, mark: &str) -> Option<Ack> {
        self.recorder.durable().borrow().marks.get(mark)?.first_ack.clone()
    }

    /// Waits for the first acknowledged write that was sent after `mark`.
    ///
    /// # Errors
    /// When there is none within `limit`, or nothing more can be recorded.
    pub async fn wait_for_ack_after(&self, mark: &str, limit: Duration) -> anyhow::Result<Ack> {
        let waited = self.wait(limit, |durable| durable.marks.get(mark)?.first_ack.clone()).await;
        waited.with_context(|| format!("no write was acknowledged after {mark:?}"))
    }

    /// The way to read the run's writes back, also once the load has stopped.
    #[must_use]
    pub fn front_door(&self) -> FrontDoor {
        let users = &self.users;
        FrontDoor { door: Arc::clone(&users.door), token: Arc::clone(&users.token), run: users.run.clone() }
    }

    /// Lets requests under way end, and gives back what is on the disk.
    ///
    /// # Errors
    /// When a task or the recorder failed, or the load outran its limit of writes: the recording is then
    /// not whole.
    pub async fn stop(mut self) -> anyhow::Result<Recording> {
        let stopped = self.now();
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("a task of the load panicked")?.context("the load failed")?;
        }
        let sent = self.users.next.load(Ordering::Relaxed) - 1;
        ensure!(
            sent <= self.plan.writes_max,
            "the load reached its limit of {} writes",
            self.plan.writes_max
        );
        let end = End {
            stopped,
            at: self.now(),
            wall: wall_now(),
            reads: self.users.reads.load(Ordering::Relaxed),
            resolutions: self.users.door.resolver.questions(),
        };
        self.recorder.sender().record(Entry::End(end)).await?;
        self.recorder.finish().await?;
        let dir = self.plan.dir;
        tokio::task::spawn_blocking(move || Recording::read(&dir)).await?
    }

    async fn wait<T>(
        &self,
        limit: Duration,
        mut reached: impl FnMut(&Durable) -> Option<T>,
    ) -> anyhow::Result<T> {
        let mut durable = self.recorder.durable();
        let waiting = async {
            loop {
                {
                    let seen = durable.borrow_and_update();
                    if let Some(value) = reached(&seen) {
                        return Ok(value);
                    }
                    if let Some(broken) = &seen.broken {
                        return Err(anyhow!("nothing more is recorded: {broken}"));
                    }
                }
                durable.changed().await.context("the recorder has ended")?;
            }
        };
        tokio::time::timeout(limit, waiting).await.with_context(|| format!("not within {limit:?}"))?
    }
}

async fn register(door: &Arc<Door>, run: &str) -> anyhow::Result<Arc<str>> {
    let reply = Client::new(Arc::clone(door)).ask(&app::register(&format!("drill-{run}"))).await;
    let reply = reply.map_err(|failed| anyhow!("{:?}: {}", failed.kind, failed.detail));
    app::registered(&reply.context("cannot register a user")?)
}

/// When one of several users begins a request.
struct Pace {
    first: Duration,
    every: Duration,
}

impl Pace {
    /// The turn of user `index` of `users`, who together begin `per_second`.
    fn of(index: u32, users: u32, per_second: u32) -> Self {
        let between = Duration::from_secs(1) / per_second.max(1);
        Self { first: between * index, every: between * users }
    }

    fn ticks(&self) -> tokio::time::Interval {
        let mut ticks = interval_at((Instant::now() + self.first).into(), self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks
    }
}

/// Waits for the next turn; false when the load is to stop.
async fn turn(ticks: &mut tokio::time::Interval, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => false,
        _ = ticks.tick() => true,
    }
}

/// Users arrive at a fixed pace whether or not others are still waiting: a user who hangs on a dead line
/// keeps nobody else from coming, and waiting shows in every latency (no "coordinated omission").
async fn write_all(
    users: Arc<Users>,
    plan: (u32, u32),
    sender: Sender,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let (writers, per_second) = plan;
    let idle: Arc<Mutex<Vec<Client>>> = Arc::default();
    let mut under_way = JoinSet::new();
    let mut ticks = Pace::of(0, 1, per_second).ticks();
    while turn(&mut ticks, &mut stop).await {
        while let Some(ended) = under_way.try_join_next() {
            ended.context("a writer panicked")??;
        }
        if under_way.len() >= writers as usize {
            continue;
        }
        let number = users.next.fetch_add(1, Ordering::Relaxed);
        if number > users.writes_max {
            break;
        }
        let known = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut client = known.unwrap_or_else(|| Client::new(Arc::clone(&users.door)));
        let (users, sender, idle) = (Arc::clone(&users), sender.clone(), Arc::clone(&idle));
        under_way.spawn(async move {
            let entry = write(&users, &mut client, number).await;
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(client);
            sender.record(entry).await
        });
    }
    while let Some(ended) = under_way.join_next().await {
        ended.context("a writer panicked")??;
    }
    Ok(())
}

async fn write(users: &Users, client: &mut Client, number: u64) -> Entry {
    let name = write_name(&users.run, number);
    let sent = users.clock.now();
    let reply = client.ask(&app::create(&name, &users.token)).await;
    let at = users.clock.now();
    let created = reply.and_then(|reply| Ok((app::created(&reply, &name)?, reply.served_by)));
    match created {
        Ok((id, served_by)) => {
            *users.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some((number, id));
            Entry::Ack(Ack { number, id, sent, acked: at, served_by })
        }
        Err(failed) => Entry::Failure(Failure {
            request: Request::Write(number),
            sent,
            at,
            kind: failed.kind,
            outcome: failed.outcome,
            detail: crate::recording::detail(&failed.detail),
        }),
    }
}

async fn read(
    users: Arc<Users>,
    pace: Pace,
    sender: Sender,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut client = Client::new(Arc::clone(&users.door));
    let mut ticks = pace.ticks();
    while turn(&mut ticks, &mut stop).await {
        let latest = *users.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((number, id)) = latest else { continue };
        let sent = users.clock.now();
        let reply = client.ask(&app::read(id, &users.token)).await;
        let at = users.clock.now();
        match reply.and_then(|reply| app::was_read(&reply, &write_name(&users.run, number))) {
            Ok(()) => drop(users.reads.fetch_add(1, Ordering::Relaxed)),
            Err(failed) => {
                let entry = Failure {
                    request: Request::Read(number),
                    sent,
                    at,
                    kind: failed.kind,
                    outcome: failed.outcome,
                    detail: crate::recording::detail(&failed.detail),
                };
                sender.record(Entry::Failure(entry)).await?;
            }
        }
    }
    Ok(())
}

/// Asks for the name whenever its TTL has run out, so that open connections hear that it has moved.
async fn watch_name(
    users: Arc<Users>,
    sender: Sender,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut known = Vec::new();
    while !*stop.borrow() {
        let mut again = Instant::now() + ASK_AGAIN;
        match users.door.resolver.resolve().await {
            Ok(answer) => {
                again = again.max(answer.expires);
                if answer.addresses != known {
                    known.clone_from(&answer.addresses);
                    let addresses = known.iter().map(ToString::to_string).collect();
                    sender.record(Entry::Names(Names { at: users.clock.now(), addresses })).await?;
                }
            }
            Err(error) => tracing::debug!(error = format!("{error:#}"), "name not resolved"),
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = tokio::time::sleep_until(again.into()) => {}
        }
    }
    Ok(())
}
