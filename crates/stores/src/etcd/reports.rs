//! Reports and the pause.

use async_trait::async_trait;
use bascule_core::ports::{ReportStore, Reports, StoreError};
use bascule_core::vantage::{Pause, Place, Report};
use etcd_client::GetOptions;

use super::EtcdStore;
use super::cluster::{Decision, Write};
use super::format::{PlacedReport, decode, encode, read};

/// Places that report: the keepers of two regions and the witness, several times over.
const MAX_PLACES: i64 = 64;

#[async_trait]
impl ReportStore for EtcdStore {
    async fn report(&self, place: &Place, report: &Report) -> Result<(), StoreError> {
        let key = self.keys.report(place);
        let placed = PlacedReport { place: place.clone(), report: report.clone() };
        // Compared too: one that is late, through a member that was cut off, does not undo a newer one and pass
        // for fresh.
        self.cluster
            .transact(std::slice::from_ref(&key), None, |_, _| {
                Ok(Decision { answer: (), writes: vec![Write::Put(key.clone(), encode(&placed))] })
            })
            .await
    }

    async fn reports(&self) -> Result<Reports, StoreError> {
        let options = GetOptions::new().with_prefix().with_limit(MAX_PLACES);
        let (found, _) = self.cluster.range(&self.keys.reports(), options, &[]).await?;
        Ok(Reports::of(found.iter().map(|slot| {
            let placed: PlacedReport = read(&slot.key, slot.value.as_deref().unwrap_or_default())?;
            Ok((placed.place, placed.report))
        })))
    }

    async fn pause(&self) -> Result<Option<Pause>, StoreError> {
        let (slots, _) = self.cluster.look(&[self.keys.pause()]).await?;
        decode(&slots[0])
    }

    async fn set_pause(&self, pause: Option<&Pause>) -> Result<(), StoreError> {
        let key = self.keys.pause();
        self.cluster
            .transact(std::slice::from_ref(&key), None, |slots, _| {
                let writes = match (pause, &slots[0].value) {
                    (Some(pause), _) => vec![Write::Put(key.clone(), encode(pause))],
                    (None, Some(_)) => vec![Write::Delete(key.clone())],
                    (None, None) => Vec::new(),
                };
                Ok(Decision { answer: (), writes })
            })
            .await
    }
}
