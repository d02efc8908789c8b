//! Takes messages from a work queue, one at a time. One that its taker does not finish goes to
//! another: **at least once**.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use async_nats::jetstream::consumer::Consumer;
use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::stream::{DiscardPolicy, RetentionPolicy, Stream};
use async_nats::jetstream::{AckKind, Message, stream};
use futures_util::StreamExt;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::cluster::{Cluster, is_missing, subject_id};

/// Who has not said for so long that it is still at it is taken for dead.
pub const TAKEN_FOR_DEAD: Duration = Duration::from_secs(2);
/// What the server calls them all.
pub const TAKERS: &str = "takers";
/// How often it says so.
const AT_IT: Duration = Duration::from_millis(500);
/// An empty queue answers after that.
const WAIT: Duration = Duration::from_secs(1);

/// After such a silence the parent looks whether the server has mislaid something.
pub const SILENCE: Duration = Duration::from_secs(5);

/// A stream that gives each message to one taker, and removes it when that has finished.
pub fn work_queue() -> stream::Config {
    stream::Config {
        retention: RetentionPolicy::WorkQueue,
        ..once()
    }
}

/// A stream that takes one message a subject: what is sent once more is refused, at any time.
pub fn once() -> stream::Config {
    stream::Config {
        max_messages_per_subject: 1,
        discard: DiscardPolicy::New,
        discard_new_per_subject: true,
        ..stream::Config::default()
    }
}

/// A server that was killed, or has lost power, may have other messages than its account of who has
/// which says: it has lost what it had acknowledged, or has again what was finished, and gives that
/// to nobody. Then the account is made anew, and what is there is given out once more. Says whether
/// messages may be missing.
pub async fn restore(cluster: &Cluster, what: &'static str, stream: &Stream) -> Result<bool> {
    Pull::new(cluster, what, stream).await?; // if that account is lost, too
    let there = async || stream.get_info().await;
    let there = cluster.patiently("for the queue", there).await?.state;
    let account = async || stream.consumer_info(TAKERS).await;
    let account = cluster.patiently("for the queue", account).await?;
    let fits = there.messages == account.num_ack_pending as u64 + account.num_pending
        && there.last_sequence >= account.delivered.stream_sequence;
    if !fits {
        // If this fails, the next look finds it so.
        drop(stream.delete_consumer(TAKERS).await);
        Pull::new(cluster, what, stream).await?;
    }
    Ok(!fits || there.messages == 0)
}

/// A taker.
pub struct Pull {
    cluster: Cluster,
    what: &'static str,
    consumer: Consumer<Config>,
    /// When the server has answered last.
    answered: Instant,
}

/// What a taker has, until it is finished or dropped; meanwhile the server is told so.
pub struct Held {
    message: Arc<Message>,
    at_it: JoinHandle<()>,
    /// To how many takers it has been given, this one included.
    pub deliveries: u64,
}

impl Pull {
    pub async fn new(cluster: &Cluster, what: &'static str, stream: &Stream) -> Result<Pull> {
        let config = Config {
            durable_name: Some(TAKERS.to_owned()),
            ack_wait: TAKEN_FOR_DEAD,
            max_ack_pending: -1,
            ..Config::default()
        };
        let consumer = cluster.patiently("for the queue", async || {
            stream.get_or_create_consumer(TAKERS, config.clone()).await
        });
        Ok(Pull {
            cluster: cluster.clone(),
            what,
            consumer: consumer.await?,
            answered: Instant::now(),
        })
    }

    /// The next message; none if there is none now.
    pub async fn next(&mut self) -> Result<Option<Held>> {
        match self.ask().await {
            Ok(Some(message)) => {
                self.answered = Instant::now();
                let message = Arc::new(message);
                let deliveries = message
                    .info()
                    .map_or(1, |info| info.delivered.max(1) as u64);
                let ours = Arc::clone(&message);
                let at_it = self.cluster.threads().spawn(async move {
                    loop {
                        sleep(AT_IT).await;
                        drop(ours.ack_with(AckKind::Progress).await);
                    }
                });
                Ok(Some(Held {
                    message,
                    at_it,
                    deliveries,
                }))
            }
            Ok(None) => {
                self.answered = Instant::now();
                Ok(None)
            }
            Err(error) => {
                let patience = self.cluster.options().patience();
                ensure!(
                    self.answered.elapsed() < patience,
                    "gave up after {} s waiting for the server: {error}",
                    patience.as_secs()
                );
                sleep(Duration::from_millis(50)).await;
                Ok(None)
            }
        }
    }

    async fn ask(&self) -> Result<Option<Message>> {
        let batch = self.consumer.batch().max_messages(1).expires(WAIT);
        let mut batch = batch.messages().await?;
        match timeout(WAIT + Duration::from_secs(1), batch.next()).await {
            Ok(Some(Ok(message))) => Ok(Some(message)),
            Ok(Some(Err(error))) => bail!("{error}"),
            Ok(None) => Ok(None),
            Err(_) => bail!("it does not answer"),
        }
    }

    /// Whether the parent has removed the queue. One that has just started may not know it yet.
    pub async fn is_over(&self) -> bool {
        for _ in 0..3 {
            let stream = self
                .cluster
                .jetstream()
                .get_stream(self.cluster.name(self.what))
                .await;
            let missing = stream.is_err_and(|error| is_missing(&error));
            if !missing {
                return false;
            }
            sleep(Duration::from_millis(300)).await;
        }
        true
    }
}

impl Held {
    pub fn payload(&self) -> &[u8] {
        &self.message.payload
    }

    /// Which one it is.
    pub fn id(&self) -> &str {
        subject_id(&self.message.subject)
    }

    /// Says that nobody else need do it.
    pub async fn finish(self) {
        self.at_it.abort();
        // If that gets lost, another does it once more, and it counts once.
        drop(self.message.ack().await);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.at_it.abort();
    }
}
