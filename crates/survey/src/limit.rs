//! How long looks may take, and how many at once.
//!
//! Invariant: a survey ends within the time that it is given, whatever hangs. A look that waits for its turn counts as one that did not
//! answer once the time is over.

use std::future::Future;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

/// For one look: a connection across an ocean (0.2 s) and one question (1 s), of which one may be asked again.
pub const LOOK: Duration = Duration::from_millis(2000);
/// For all of them, unless more is given: who checks a site waits three seconds at most, and half of one is for starting
/// and printing.
pub const WITHIN: Duration = Duration::from_millis(2500);
/// The most that can be given: by then what was seen first is as old as alerts wait (a minute).
pub const WITHIN_MAX: Duration = Duration::from_secs(60);
/// Looks at once at parts of one kind in one place, at least: a whole cluster of three and one more. Each part beyond
/// that has a turn of its own, since one that hangs keeps its turn for [`LOOK`], which is most of [`WITHIN`]: so no part
/// has more sessions than its own monitoring makes, however many there are. Each region has turns of its own, so that
/// one that hangs does not take those of the other.
const AT_ONCE: usize = 4;
/// And at most: a process may open 1024 files, and six kinds in two regions and beside them leave a quarter of these.
const AT_ONCE_MAX: usize = 40;

/// Whom looks are counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provider {
    Application,
    Database,
    Keepers,
    LoadBalancer,
    Names,
    Pool,
}

pub(crate) struct Limits {
    until: Instant,
    within: Duration,
    at_once: usize,
    application: Semaphore,
    database: Semaphore,
    keepers: Semaphore,
    load_balancer: Semaphore,
    names: Semaphore,
    pool: Semaphore,
}

impl Limits {
    /// The time runs from here. `parts`: how many there are of the kind that has most in one place.
    pub fn begin(within: Duration, parts: usize) -> Self {
        let within = within.clamp(WITHIN, WITHIN_MAX);
        Self::until(Instant::now() + within, within, (parts + 1).clamp(AT_ONCE, AT_ONCE_MAX))
    }

    /// Turns of its own, for a place beside this one. The time is the same.
    pub fn beside(&self) -> Self {
        Self::until(self.until, self.within, self.at_once)
    }

    fn until(until: Instant, within: Duration, at_once: usize) -> Self {
        let turns = || Semaphore::new(at_once);
        Self {
            until,
            within,
            at_once,
            application: turns(),
            database: turns(),
            keepers: turns(),
            load_balancer: turns(),
            names: turns(),
            pool: turns(),
        }
    }

    /// Look, within the limits.
    pub async fn look<T>(
        &self,
        provider: Provider,
        asking: impl Future<Output = Result<T, String>>,
    ) -> Result<T, String> {
        let turn = async {
            let _turn = self.turns(provider).acquire().await.map_err(|e| e.to_string())?;
            timeout(LOOK, asking).await.unwrap_or_else(|_| Err(late(LOOK)))
        };
        self.by_the_end(turn).await
    }

    /// Ask without a turn of its own, but not past the end.
    pub async fn by_the_end<T>(&self, asking: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        timeout_at(self.until, asking).await.unwrap_or_else(|_| Err(late(self.within)))
    }

    fn turns(&self, provider: Provider) -> &Semaphore {
        match provider {
            Provider::Application => &self.application,
            Provider::Database => &self.database,
            Provider::Keepers => &self.keepers,
            Provider::LoadBalancer => &self.load_balancer,
            Provider::Names => &self.names,
            Provider::Pool => &self.pool,
        }
    }
}

fn late(limit: Duration) -> String {
    format!("no answer within {} ms", limit.as_millis())
}

/// Look at each of them, side by side; the answers come in their order.
pub(crate) async fn each<I, T, F>(items: impl IntoIterator<Item = I>, look: impl Fn(I) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut looks = JoinSet::new();
    for (number, item) in items.into_iter().enumerate() {
        let looking = look(item);
        looks.spawn(async move { (number, looking.await) });
    }
    let mut seen = looks.join_all().await;
    seen.sort_by_key(|(number, _)| *number);
    seen.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_hangs_is_given_up_and_takes_nobody_along() {
        let limits = Arc::new(Limits::begin(WITHIN, 0));
        let begun = Instant::now();
        let answers = each(0..9, |number| {
            let limits = Arc::clone(&limits);
            async move {
                let asking = async move {
                    if number < 8 {
                        std::future::pending::<()>().await;
                    }
                    Ok(number)
                };
                let provider = if number < 8 { Provider::Names } else { Provider::Pool };
                limits.look(provider, asking).await
            }
        })
        .await;
        assert_eq!(answers[8], Ok(8));
        assert_eq!(answers[0], Err("no answer within 2000 ms".to_owned()));
        assert_eq!(answers[7], Err("no answer within 2500 ms".to_owned()), "its turn came too late");
        assert_eq!(begun.elapsed(), WITHIN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_hangs_takes_no_turns_of_another() {
        let (here, begun) = (Arc::new(Limits::begin(WITHIN, 0)), Instant::now());
        let there = here.beside();
        let hanging = each(0..8, |_| {
            let here = Arc::clone(&here);
            async move { here.look(Provider::Database, std::future::pending::<Result<(), String>>()).await }
        });
        let well = there.look(Provider::Database, async { Ok(()) });
        let (hanging, well) = tokio::join!(hanging, async { (well.await, begun.elapsed()) });
        assert!(hanging.iter().all(Result::is_err));
        assert_eq!(well, (Ok(()), Duration::ZERO));
        assert_eq!(begun.elapsed(), WITHIN, "both end together");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_look_at_one_kind_of_part_at_once_than_have_a_turn() {
        let (limits, now, most) =
            (Arc::new(Limits::begin(WITHIN, 3)), AtomicUsize::new(0), AtomicUsize::new(0));
        let (now, most) = (Arc::new(now), Arc::new(most));
        let answers = each(0..10, |_| {
            let (limits, now, most) = (Arc::clone(&limits), Arc::clone(&now), Arc::clone(&most));
            async move {
                let asking = async {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    Ok(())
                };
                limits.look(Provider::Database, asking).await
            }
        })
        .await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(most.load(Ordering::SeqCst), AT_ONCE);
    }

    #[tokio::test(start_paused = true)]
    async fn thirty_parts_that_hang_are_all_asked_and_a_longer_time_lets_more_of_them_wait() {
        for (within, parts, late) in [(WITHIN, 30, 0), (WITHIN, 80, 40), (Duration::from_secs(5), 80, 0)] {
            let limits = Arc::new(Limits::begin(within, parts));
            let answers = each(0..parts, |_| {
                let limits = Arc::clone(&limits);
                async move {
                    limits.look(Provider::Application, std::future::pending::<Result<(), String>>()).await
                }
            })
            .await;
            let asked = Err(super::late(LOOK));
            assert_eq!(
                answers.iter().filter(|answer| **answer != asked).count(),
                late,
                "{within:?}, {parts}"
            );
        }
    }
}
