//! A bounded queue between producers and consumers on any hosts, whose end is said.

use std::marker::PhantomData;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::stream::{Config, Stream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use crate::cluster::{Cluster, Sent, subject_id};
use crate::process::Process;
use crate::pull::{Held, Pull, SILENCE, once, restore, work_queue};
use crate::reader::Reader;

/// The server says that it is full, and not when it has room again.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// How often the parent looks whether its processes run.
const LOOK: Duration = Duration::from_millis(50);

/// A queue. A job has one.
pub struct Queue<T> {
    cluster: Cluster,
    producers: u64,
    items: Stream,
    /// One message of each producer that has put all.
    ends: Stream,
    /// One message for each item that was counted.
    counted: Stream,
    item: PhantomData<T>,
}

/// An item that a consumer has, until it has counted it.
pub struct Item<T> {
    cluster: Cluster,
    held: Held,
    /// What was put.
    pub value: T,
}

impl Cluster {
    /// A queue for so many items at a time, which ends when so many producers have said so.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn queue<T>(&self, capacity: u32, producers: u64) -> Result<Queue<T>> {
        let config = Config {
            max_messages: capacity.into(),
            ..work_queue()
        };
        let (items, ends, counted) = self.wait(async {
            let ends = self.stream("ends", once()).await?;
            let counted = self.stream("counted", once()).await?;
            anyhow::Ok((self.stream("items", config).await?, ends, counted))
        })?;
        Ok(Queue {
            cluster: self.clone(),
            producers,
            items,
            ends,
            counted,
            item: PhantomData,
        })
    }
}

impl<T: Serialize + DeserializeOwned> Queue<T> {
    /// Puts an item under a name of its own, and waits while the queue is full. A producer that was
    /// started again puts all again; what was put under the same name counts once.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub fn put(&self, name: &str, item: &T) -> Result<()> {
        let subject = self.cluster.subject("items", name);
        let payload = postcard::to_stdvec(item).context("the item cannot be sent")?;
        let mut headers = HeaderMap::new();
        // It spares work: for two minutes the server knows what it has stored, and gone.
        headers.insert(NATS_MESSAGE_ID, name);
        self.cluster.wait(async {
            let put = || {
                self.cluster
                    .publish(&subject, headers.clone(), payload.clone())
            };
            while put().await? == Sent::Full {
                sleep(ASK_AGAIN).await;
            }
            Ok(())
        })
    }

    /// Says that this producer has put all.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn end(&self, producer: &str) -> Result<()> {
        let subject = self.cluster.subject("ends", producer.replace(' ', "_"));
        self.cluster.wait(self.cluster.store(&subject, Vec::new()))
    }

    /// Takes items, until all producers have said the end and all items are counted, by whomever.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn iter(&self) -> Result<impl Iterator<Item = Result<Item<T>>>> {
        let mut pull = self
            .cluster
            .wait(Pull::new(&self.cluster, "items", &self.items))?;
        let next = move || -> Result<Option<Item<T>>> {
            loop {
                if let Some(held) = self.cluster.wait(pull.next())? {
                    let value = postcard::from_bytes(held.payload());
                    return Ok(Some(Item {
                        cluster: self.cluster.clone(),
                        value: value.context("an item of another type")?,
                        held,
                    }));
                }
                if self.is_done()? || self.cluster.wait(pull.is_over()) {
                    return Ok(None);
                }
            }
        };
        let mut next = Some(next);
        Ok(std::iter::from_fn(move || {
            let item = next.as_mut()?().transpose();
            if !matches!(item, Some(Ok(_))) {
                next = None;
            }
            item
        }))
    }

    fn is_done(&self) -> Result<bool> {
        // In this order: who has said the end puts no more.
        Ok(self.messages(&self.ends)? == self.producers && self.messages(&self.items)? == 0)
    }

    /// How many there are.
    fn messages(&self, stream: &Stream) -> Result<u64> {
        let info = async || stream.get_info().await;
        let info = self.cluster.patiently("for the queue", info);
        Ok(self.cluster.wait(info)?.state.messages)
    }

    /// Waits in the parent for the end, and starts those processes again that are killed. Returns
    /// who has counted each item, by the items' names.
    ///
    /// # Errors
    /// The server does not answer, or a process fails.
    pub fn join(&self, processes: &mut [Process]) -> Result<Vec<(String, String)>> {
        self.cluster.ensure_parent()?;
        let (mut counted, mut changed) = (0, Instant::now());
        while !self.is_done()? {
            for process in &mut *processes {
                process.revive(&self.cluster)?;
            }
            thread::sleep(LOOK);
            let now = self.messages(&self.counted)?;
            if counted != now {
                (counted, changed) = (now, Instant::now());
            } else if changed.elapsed() > SILENCE {
                changed = Instant::now();
                self.cluster
                    .wait(restore(&self.cluster, "items", &self.items))?;
            }
        }
        for process in &mut *processes {
            process.wait()?;
            while process.revive(&self.cluster)? {
                process.wait()?;
            }
        }
        let there = self.messages(&self.counted)?;
        let mut reader = Reader::new(&self.cluster, self.counted.clone());
        let mut all = Vec::new();
        while (all.len() as u64) < there {
            let message = self.cluster.wait(reader.next(Duration::from_secs(1)))?;
            if let Some(message) = message {
                let name = subject_id(&message.subject);
                let by = String::from_utf8_lossy(&message.payload);
                all.push((name.to_owned(), by.into_owned()));
            }
        }
        Ok(all)
    }
}

impl<T> Item<T> {
    /// Says that this consumer has counted it. If another one has, which was taken for dead, this
    /// changes nothing.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn count(self, by: &str) -> Result<()> {
        let subject = self.cluster.subject("counted", self.held.id());
        self.cluster.wait(async {
            self.cluster.store(&subject, by.into()).await?;
            self.held.finish().await;
            Ok(())
        })
    }
}
