//! Reads a stream from its first message on, and misses none, whatever happens to the connection.

use std::time::{Duration, Instant};

use anyhow::Result;
use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::pull::{Batch, Config};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy};
use async_nats::jetstream::stream::Stream;
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::cluster::Cluster;

/// What was sent while the connection broke is not sent again. So after such a silence ask anew,
/// from the first message that is missing.
const SILENCE: Duration = Duration::from_secs(1);

pub struct Reader {
    cluster: Cluster,
    stream: Stream,
    next: u64,
    batch: Option<Batch>,
    /// What the server calls the batch's reader.
    name: Option<String>,
    heard: Instant,
}

impl Reader {
    pub fn new(cluster: &Cluster, stream: Stream) -> Reader {
        Reader {
            cluster: cluster.clone(),
            stream,
            next: 1,
            batch: None,
            name: None,
            heard: Instant::now(),
        }
    }

    /// The next message, if it comes in time.
    pub async fn next(&mut self, limit: Duration) -> Result<Option<Message>> {
        let until = Instant::now() + limit;
        loop {
            let batch = match &mut self.batch {
                Some(batch) => batch,
                empty => {
                    self.heard = Instant::now();
                    if let Some(name) = self.name.take() {
                        // If this fails, the server does so after a while.
                        drop(self.stream.delete_consumer(&name).await);
                    }
                    let asked = ask(&self.cluster, &self.stream, self.next).await?;
                    (self.next, self.name) = (asked.from, Some(asked.name));
                    empty.insert(asked.batch)
                }
            };
            let left = until.saturating_duration_since(Instant::now());
            let silent = SILENCE.saturating_sub(self.heard.elapsed());
            match timeout(left.min(silent), batch.next()).await {
                Ok(Some(Ok(message))) => {
                    let sequence = message.info().map_or(0, |info| info.stream_sequence);
                    if sequence == self.next {
                        self.next += 1;
                        self.heard = Instant::now();
                        return Ok(Some(message));
                    }
                    self.batch = None; // some are missing
                }
                Ok(None | Some(Err(_))) => self.batch = None,
                Err(_) if self.heard.elapsed() >= SILENCE => self.batch = None,
                Err(_) => {}
            }
            if until <= Instant::now() {
                return Ok(None);
            }
        }
    }
}

struct Asked {
    batch: Batch,
    name: String,
    from: u64,
}

async fn ask(cluster: &Cluster, stream: &Stream, next: u64) -> Result<Asked> {
    let ask = async || -> Result<_, async_nats::Error> {
        // A server that has lost power may have lost its last messages, and counts from there.
        let last = stream.get_info().await?.state.last_sequence;
        let from = next.min(last + 1);
        let config = Config {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: from,
            },
            ack_policy: AckPolicy::None,
            inactive_threshold: Duration::from_secs(10),
            memory_storage: true,
            ..Config::default()
        };
        let consumer = stream.create_consumer(config).await?;
        let name = consumer.cached_info().name.clone();
        let batch = consumer
            .batch()
            .max_messages(1000)
            .expires(Duration::from_secs(5));
        let batch = batch.messages().await?;
        Ok(Asked { batch, name, from })
    };
    cluster.patiently("for results", ask).await
}
