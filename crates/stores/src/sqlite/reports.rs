//! Reports, the pause, and waiting for the tenure to change.

use std::time::Duration;

use async_trait::async_trait;
use bascule_core::ports::{ReportStore, Reports, StoreError, TenureStore as _, TenureWatch};
use bascule_core::tenure::Tenure;
use bascule_core::vantage::{Pause, Place, Report};
use rusqlite::{OptionalExtension as _, params};

use super::{SqliteStore, json, parse};
use crate::rules;

/// Between two looks at the tenure: a file tells nobody that it has changed. A look takes 20 µs, so this costs a
/// thousandth of a core, and whoever waits learns of a change within a frame of a screen.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Looks in one call, which then answers that nothing has changed: a second, as the etcd store's.
const LOOKS: u32 = 50;

#[async_trait]
impl ReportStore for SqliteStore {
    async fn report(&self, place: &Place, report: &Report) -> Result<(), StoreError> {
        let (place, report) = (json(place), json(report));
        self.thread
            .write(move |t| {
                let insert = "INSERT INTO report (place, report) VALUES (?1, ?2)
                     ON CONFLICT (place) DO UPDATE SET report = excluded.report";
                t.execute(insert, params![place, report])?;
                Ok(())
            })
            .await
    }

    async fn reports(&self) -> Result<Reports, StoreError> {
        let rows = self
            .thread
            .read(|t| {
                let mut select = t.prepare_cached("SELECT place, report FROM report")?;
                let rows: Result<Vec<(String, String)>, _> =
                    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect();
                Ok(rows?)
            })
            .await?;
        let read = |(place, report): (String, String)| -> Result<(Place, Report), StoreError> {
            let found = parse(&report, || format!("the report of {place}"))?;
            Ok((parse(&place, || "the place of a report".to_owned())?, found))
        };
        Ok(Reports::of(rows.into_iter().map(read)))
    }

    async fn pause(&self) -> Result<Option<Pause>, StoreError> {
        let text: Option<String> = self
            .thread
            .read(|t| Ok(t.query_row("SELECT pause FROM pause", [], |row| row.get(0)).optional()?))
            .await?;
        text.map(|text| parse(&text, || "the pause".to_owned())).transpose()
    }

    async fn set_pause(&self, pause: Option<&Pause>) -> Result<(), StoreError> {
        let pause = pause.map(json);
        self.thread
            .write(move |t| {
                t.execute("DELETE FROM pause", [])?;
                if let Some(pause) = pause {
                    t.execute("INSERT INTO pause (one, pause) VALUES (1, ?1)", [pause])?;
                }
                Ok(())
            })
            .await
    }
}

#[async_trait]
impl TenureWatch for SqliteStore {
    async fn changed(&self, than: Option<&Tenure>) -> Result<Option<Tenure>, StoreError> {
        for _ in 0..LOOKS {
            let tenure = self.tenure().await?;
            if rules::differs(tenure.as_ref(), than) {
                return Ok(tenure);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.tenure().await
    }
}
