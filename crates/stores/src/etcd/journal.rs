//! Journals. What a rule looks at is one small key, the operation's head; what is written once is never looked at
//! again but to be read.

use async_trait::async_trait;
use bascule_core::id::{OperationId, Term};
use bascule_core::ports::{Entry, Grip, Header, Journal, JournalStore, OpenOperation, StoreError};
use bascule_core::tenure::Tenure;
use etcd_client::{GetOptions, SortOrder, SortTarget};

use super::EtcdStore;
use super::cluster::{Decision, Doubt, Slot, Write};
use super::format::{Batch, Head, Open, bounded, decode, encode, read};
use crate::rules;

/// Appends read at once: an operation has one or two a step, so a journal is one to four pages.
const PAGE: u32 = 32;
/// Looks at the open operation before giving up: each fails only if another was opened in between.
const LOOKS: u32 = 4;

impl EtcdStore {
    fn head_of(&self, slot: &Slot, id: &OperationId) -> Result<Head, StoreError> {
        decode(slot)?.ok_or_else(|| StoreError::NoSuchOperation(id.clone()))
    }

    fn put_head(&self, id: &OperationId, head: &Head) -> Write {
        Write::Put(self.keys.head(id), encode(head))
    }

    /// The records of an operation as it was when its head was looked at: appends that came later are past its end.
    async fn entries(&self, id: &OperationId, head: &Head) -> Result<Vec<Entry>, StoreError> {
        let (mut from, end) = (self.keys.entries(id), self.keys.batch(id, head.length));
        let mut entries = Vec::new();
        loop {
            let options = GetOptions::new().with_range(end.as_str()).with_limit(i64::from(PAGE));
            let (batches, _) = self.cluster.range(&from, options, &[]).await?;
            for slot in &batches {
                let at = entries.len() as u64;
                if slot.key != self.keys.batch(id, at) {
                    return Err(StoreError::Damaged(format!("entry {at} of {id} is missing")));
                }
                let batch: Batch = read(&slot.key, slot.value.as_deref().unwrap_or_default())?;
                entries.extend(batch.entries);
            }
            match batches.last() {
                Some(last) if batches.len() == PAGE as usize => from = format!("{}\0", last.key),
                _ => break,
            }
        }
        let found = entries.len() as u64;
        if found != head.length {
            return Err(StoreError::Damaged(format!("{id} has {found} entries, not {}", head.length)));
        }
        Ok(entries)
    }
}

#[async_trait]
impl JournalStore for EtcdStore {
    async fn begin(&self, header: &Header) -> Result<Term, StoreError> {
        let id = &header.id;
        let keys = [self.keys.tenure(), self.keys.open(), self.keys.last(), self.keys.head(id)];
        self.cluster
            .transact(&keys, None, |slots, doubt| {
                if doubt == Doubt::MayHaveHappened {
                    // Whether it was this controller that began it can't be told: it may claim it.
                    let text = format!("the answer to the beginning of {id} was lost");
                    return Err(StoreError::Unavailable(text));
                }
                let tenure: Option<Tenure> = decode(&slots[0])?;
                let open = decode::<Open>(&slots[1])?.map(|open| open.id);
                let used = decode::<Head>(&slots[3])?.map(|head| head.standing());
                rules::may_begin(header, &self.site, tenure.as_ref(), open.as_ref(), used)?;
                let number = decode::<u64>(&slots[2])?.unwrap_or(0) + 1;
                let head = Head { number, term: rules::FIRST, length: 0, open: true };
                let writes = vec![
                    Write::Put(self.keys.header(number), bounded(id, encode(header))?),
                    self.put_head(id, &head),
                    Write::Put(self.keys.open(), encode(&Open { id: id.clone(), number })),
                    Write::Put(self.keys.last(), encode(&number)),
                ];
                Ok(Decision { answer: rules::FIRST, writes })
            })
            .await
    }

    async fn claim(&self, id: &OperationId) -> Result<Term, StoreError> {
        self.cluster
            .transact(&[self.keys.head(id)], None, |slots, _| {
                let head = self.head_of(&slots[0], id)?;
                // A claim whose answer was lost is made again, and gives the term after it.
                let term = rules::claimed(id, &head.standing())?;
                let write = self.put_head(id, &Head { term, ..head });
                Ok(Decision { answer: term, writes: vec![write] })
            })
            .await
    }

    async fn append(
        &self,
        id: &OperationId,
        grip: Grip,
        at: u64,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        let batch = Batch { term: grip.term, entries: entries.to_vec() };
        let batch = bounded(id, encode(&batch))?;
        let length = at.saturating_add(entries.len() as u64);
        let (closes, ended_early) = (rules::closes(entries), rules::ended_early(entries));
        let keys = [self.keys.head(id), self.keys.tenure()];
        let place = self.keys.batch(id, at);
        let new = (!entries.is_empty()).then(|| place.clone());
        self.cluster
            .transact(&keys, new, |slots, doubt| {
                // The answer to the append was lost, and here it stands: one controller has a term, and it writes
                // but once to a place.
                let made = slots.get(2).is_some_and(|slot| slot.value.as_ref() == Some(&batch));
                if doubt == Doubt::MayHaveHappened && made {
                    return Ok(Decision::unchanged(()));
                }
                let head = self.head_of(&slots[0], id)?;
                let tenure: Option<Tenure> = decode(&slots[1])?;
                rules::may_append(id, grip, at, &head.standing(), tenure.as_ref())?;
                if ended_early {
                    return Err(rules::has_ended(id));
                }
                if entries.is_empty() {
                    return Ok(Decision::unchanged(()));
                }
                let mut writes = vec![
                    Write::Put(place.clone(), batch.clone()),
                    self.put_head(id, &Head { length, open: !closes, ..head }),
                ];
                writes.extend(closes.then(|| Write::Delete(self.keys.open())));
                Ok(Decision { answer: (), writes })
            })
            .await
    }

    async fn beat(&self, id: &OperationId, term: Term) -> Result<(), StoreError> {
        let keys = [self.keys.head(id), self.keys.beats(id)];
        self.cluster
            .transact(&keys, None, |slots, _| {
                let head = self.head_of(&slots[0], id)?;
                rules::may_act(id, term, &head.standing())?;
                let beats = decode::<u64>(&slots[1])?.unwrap_or(0) + 1;
                let write = Write::Put(self.keys.beats(id), encode(&beats));
                Ok(Decision { answer: (), writes: vec![write] })
            })
            .await
    }

    async fn open(&self) -> Result<Option<OpenOperation>, StoreError> {
        let (mut slots, _) = self.cluster.look(&[self.keys.open()]).await?;
        for _ in 0..LOOKS {
            let Some(open) = decode::<Open>(&slots[0])? else { return Ok(None) };
            let keys = [
                self.keys.open(),
                self.keys.head(&open.id),
                self.keys.header(open.number),
                self.keys.beats(&open.id),
            ];
            (slots, _) = self.cluster.look(&keys).await?;
            if decode::<Open>(&slots[0])?.as_ref() != Some(&open) {
                continue;
            }
            let missing = || StoreError::Damaged(format!("the open operation {} is missing", open.id));
            let head: Head = decode(&slots[1])?.ok_or_else(missing)?;
            let header = decode(&slots[2])?.ok_or_else(missing)?;
            let beats = decode::<u64>(&slots[3])?.unwrap_or(0);
            return Ok(Some(OpenOperation { header, term: head.term, beats }));
        }
        Err(StoreError::Unavailable("operations begin and end all the time".to_owned()))
    }

    async fn read(&self, id: &OperationId) -> Result<Journal, StoreError> {
        let (slots, _) = self.cluster.look(&[self.keys.head(id)]).await?;
        let head = self.head_of(&slots[0], id)?;
        let (slots, _) = self.cluster.look(&[self.keys.header(head.number)]).await?;
        let missing = || StoreError::Damaged(format!("the beginning of {id} is missing"));
        let header = decode(&slots[0])?.ok_or_else(missing)?;
        let entries = self.entries(id, &head).await?;
        rules::intact(id, Journal { header, term: head.term, entries })
    }

    async fn list(&self, limit: u32) -> Result<Vec<(Header, bool)>, StoreError> {
        let (first, mut end) = (self.keys.headers(), self.keys.header(u64::MAX));
        let mut found: Vec<(Header, bool)> = Vec::new();
        while found.len() < limit as usize {
            let wanted = (limit as usize - found.len()).min(PAGE as usize);
            let options = GetOptions::new()
                .with_range(end.as_str())
                .with_sort(SortTarget::Key, SortOrder::Descend)
                .with_limit(i64::try_from(wanted).unwrap_or(i64::from(PAGE)));
            let (headers, open) = self.cluster.range(&first, options, &[self.keys.open()]).await?;
            let open = open.first().map(decode::<Open>).transpose()?.flatten();
            for slot in &headers {
                let header: Header = read(&slot.key, slot.value.as_deref().unwrap_or_default())?;
                let is_open = open.as_ref().is_some_and(|open| open.id == header.id);
                found.push((header, is_open));
            }
            match headers.last() {
                // The next page ends before the last one's oldest.
                Some(oldest) if headers.len() == wanted => end.clone_from(&oldest.key),
                _ => break,
            }
        }
        Ok(found)
    }
}
