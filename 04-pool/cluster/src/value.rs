//! Shared values: an entry of a bucket, changed if nobody else has changed it meanwhile.

use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_nats::HeaderMap;
use async_nats::header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID};
use async_nats::jetstream::kv::{CreateErrorKind, Store};
use async_nats::jetstream::stream::{Config, DiscardPolicy};
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::cluster::{Cluster, Sent};
use crate::process::Process;

/// How many values the server keeps. A change that it has made, and whose sender did not hear so, it
/// recognises for two minutes; but when it is started again, it knows only those among these.
const HISTORY: i64 = 64;

/// How often who watches looks whether those run who would change it.
const LOOK: Duration = Duration::from_millis(500);

/// A value that all parts of the job can read and change.
pub struct Value<T> {
    cluster: Cluster,
    key: String,
    store: Store,
    /// Its revision when this part made it, or found it.
    first: u64,
    value: PhantomData<T>,
}

impl Cluster {
    /// A value of this name, which the parent makes; others wait until it has done so.
    ///
    /// # Errors
    /// The server does not answer, or the value cannot be sent.
    pub fn value<T: Serialize + DeserializeOwned>(&self, key: &str, first: T) -> Result<Value<T>> {
        let first = postcard::to_stdvec(&first).context("the value cannot be sent")?;
        let bucket = self.job().to_owned();
        let make = self.options().role.is_none();
        let store = self.patiently("for a shared value", async || -> Result<(Store, u64)> {
            if !make {
                let store = self.jetstream().get_key_value(bucket.clone()).await?;
                let entry = store.entry(key).await?.context("it is not there yet")?;
                return Ok((store, entry.revision));
            }
            // As `create_key_value` makes it, which asks Debian's server for more than that knows.
            let config = Config {
                name: format!("KV_{bucket}"),
                subjects: vec![format!("$KV.{bucket}.>")],
                max_messages_per_subject: HISTORY,
                discard: DiscardPolicy::New,
                allow_rollup: true,
                deny_delete: true,
                allow_direct: true,
                num_replicas: 1,
                ..Config::default()
            };
            self.jetstream().get_or_create_stream(config).await?;
            let store = self.jetstream().get_key_value(bucket.clone()).await?;
            let revision = match store.create(key, first.clone().into()).await {
                // By an earlier life of this parent, or by a try whose answer was lost.
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => {
                    store.entry(key).await?.context("it is gone")?.revision
                }
                made => made?,
            };
            Ok((store, revision))
        });
        let (store, first) = self.wait(store)?;
        Ok(Value {
            cluster: self.clone(),
            key: key.to_owned(),
            store,
            first,
            value: PhantomData,
        })
    }
}

impl<T: Serialize + DeserializeOwned> Value<T> {
    /// What it is now; it may be another at once.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn get(&self) -> Result<T> {
        self.cluster.wait(self.read()).map(|(value, _)| value)
    }

    /// Changes it, and returns what it is then. While somebody else is faster, it starts again with
    /// what that has made of it: `change` may be called many times, and one of them counts.
    ///
    /// A change to which no answer came is sent again, and counts once as long as the server knows it:
    /// for two minutes, and one that was killed knows the last 64. After that it may count twice.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn update(&self, mut change: impl FnMut(T) -> T) -> Result<T> {
        loop {
            let (value, revision) = self.cluster.wait(self.read())?;
            let value = change(value);
            let mut headers = HeaderMap::new();
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, revision.to_string());
            // Sent again after a silence, it is either known by this, or was never made.
            headers.insert(NATS_MESSAGE_ID, unique());
            let subject = format!("$KV.{}.{}", self.cluster.job(), self.key);
            let payload = postcard::to_stdvec(&value).context("the value cannot be sent")?;
            match self
                .cluster
                .wait(self.cluster.publish(&subject, headers, payload))?
            {
                Sent::New | Sent::Known => return Ok(value),
                Sent::Outdated => {}
                Sent::Full => bail!("the server has no room for {}", self.key),
            }
        }
    }

    async fn read(&self) -> Result<(T, u64)> {
        let entry = self
            .cluster
            .patiently("for a shared value", async || -> Result<_> {
                self.store.entry(&self.key).await?.context("it is gone")
            });
        let entry = entry.await?;
        let value = postcard::from_bytes(&entry.value).context("a value of another type")?;
        Ok((value, entry.revision))
    }

    /// Calls back, here, with what it was when this part made it, or found it, and then with each
    /// change that was made since and is made, in their order, until told to stop. It may miss some
    /// if there are more than 64 that it has not seen yet.
    ///
    /// # Errors
    /// The server does not answer, or a process has failed.
    pub fn watch(
        &self,
        processes: &mut [Process],
        mut callback: impl FnMut(T) -> ControlFlow<()>,
    ) -> Result<()> {
        self.cluster.wait(async {
            let mut next = self.first;
            loop {
                let changes = self.cluster.patiently("for a shared value", async || {
                    self.store.watch_from_revision(&self.key, next).await
                });
                let mut changes = changes.await?;
                // Until the server has been away, and knows no more of it.
                while let Some(Ok(change)) = self.next(processes, &mut changes).await? {
                    next = change.revision + 1;
                    let value = postcard::from_bytes(&change.value);
                    if callback(value.context("a value of another type")?).is_break() {
                        return Ok(());
                    }
                }
            }
        })
    }

    /// Waits for it, as long as those who make changes run, and the server does.
    async fn next<C: Stream + Unpin>(
        &self,
        processes: &mut [Process],
        changes: &mut C,
    ) -> Result<Option<C::Item>> {
        loop {
            if let Ok(change) = timeout(LOOK, changes.next()).await {
                return Ok(change);
            }
            processes.iter_mut().try_for_each(Process::check)?;
            self.read().await?;
        }
    }
}

fn unique() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{:x}-{number}", fastrand::u128(..))
}
