//! Who is there. Nobody is told of a death on another host: who is not heard of may be dead, cut
//! off or slow, and that it is dead is a guess.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use async_nats::Subscriber;
use async_nats::connection::State;
use futures_util::StreamExt;
use tokio::time::{sleep, timeout};

use crate::cluster::{Cluster, subject_id};

/// How often one says that it is there.
const BEAT: Duration = Duration::from_millis(200);
/// Who was not heard of for so long is taken for dead.
const SILENCE: Duration = Duration::from_secs(2);

const HERE: &[u8] = b"+";
const BYE: &[u8] = b"-";

/// What has become known of a part of the program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// It is there.
    Came(String),
    /// It has said that it ends.
    Left(String),
    /// It has said nothing for a while.
    Silent(String),
    /// It was taken for dead, and is not.
    Back(String),
}

impl Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Came(who) => write!(f, "{who} is there"),
            Change::Left(who) => write!(f, "{who} has said goodbye"),
            Change::Silent(who) => {
                write!(f, "{who} was not heard of for {SILENCE:?}: taken for dead")
            }
            Change::Back(who) => write!(f, "{who} is back: it was not dead"),
        }
    }
}

/// Hears who is there.
pub struct Watch {
    cluster: Cluster,
    messages: Subscriber,
    /// When each was heard of last, and whether it is taken for dead.
    known: BTreeMap<String, (Instant, bool)>,
}

impl Cluster {
    /// Hears from now on which parts are there.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn watch(&self) -> Result<Watch> {
        let messages = self.wait(async {
            let messages = self.client().subscribe(self.subject("alive", "*")).await?;
            self.client().flush().await?; // what is said from here on is heard
            anyhow::Ok(messages)
        })?;
        Ok(Watch {
            cluster: self.clone(),
            messages,
            known: BTreeMap::new(),
        })
    }

    /// Says again and again that this part is there.
    pub(crate) fn say_alive(&self, name: &str) {
        let (client, subject) = (self.client().clone(), self.alive(name));
        self.threads().spawn(async move {
            loop {
                drop(client.publish(subject.clone(), HERE.into()).await);
                sleep(BEAT).await;
            }
        });
    }

    pub(crate) fn say_goodbye(&self, name: &str) -> Result<()> {
        self.wait(async {
            self.client().publish(self.alive(name), BYE.into()).await?;
            let said = timeout(self.options().patience(), self.client().flush()).await;
            Ok(said.context("gave up waiting to say goodbye: the server does not answer")??)
        })
    }

    fn alive(&self, name: &str) -> String {
        self.subject("alive", name.replace(' ', "_"))
    }
}

impl Watch {
    /// Waits for the next change; none if there is none in time.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<Change>> {
        self.cluster.ensure_parent()?;
        let (start, mut connected) = (Instant::now(), Instant::now());
        loop {
            let patience = self.cluster.options().patience();
            if self.cluster.client().connection_state() == State::Connected {
                connected = Instant::now();
            }
            ensure!(
                connected.elapsed() < patience,
                "gave up after {patience:?} waiting for the server"
            );
            let silent = |(_, (heard, dead)): &(&String, &mut (Instant, bool))| {
                !*dead && heard.elapsed() >= SILENCE
            };
            if let Some((who, (_, dead))) = self.known.iter_mut().find(silent) {
                *dead = true;
                return Ok(Some(Change::Silent(who.clone())));
            }
            let alive = self.known.values().filter(|(_, dead)| !dead);
            let next = alive
                .map(|(heard, _)| SILENCE.saturating_sub(heard.elapsed()))
                .min();
            let next = next
                .unwrap_or(SILENCE)
                .min(limit.saturating_sub(start.elapsed()));
            let message = self
                .cluster
                .wait(async { timeout(next, self.messages.next()).await });
            let Ok(message) = message else {
                if start.elapsed() >= limit {
                    return Ok(None);
                }
                continue;
            };
            let message = message.context("the connection is closed")?;
            let who = subject_id(&message.subject).replace('_', " ");
            if *message.payload == *BYE {
                if self.known.remove(&who).is_some() {
                    return Ok(Some(Change::Left(who)));
                }
                continue;
            }
            match self.known.insert(who.clone(), (Instant::now(), false)) {
                None => return Ok(Some(Change::Came(who))),
                Some((_, true)) => return Ok(Some(Change::Back(who))),
                Some((_, false)) => {}
            }
        }
    }
}
