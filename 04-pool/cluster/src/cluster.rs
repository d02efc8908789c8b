//! The connection to the server, and what of it all parts need: to send so that it has arrived.

use std::env;
use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use async_nats::jetstream::context::{
    GetStreamError, GetStreamErrorKind, PublishError, PublishErrorKind,
};
use async_nats::jetstream::stream::{Config, Stream};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{
    Client, ConnectErrorKind, ConnectOptions, HeaderMap, RequestErrorKind, ServerAddr,
};
use futures_util::StreamExt;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};
use tokio::time::sleep;

use crate::options::Options;
use crate::runtime::Threads;
use crate::server::{Listen, Server};

/// In the environment of a part that the parent has started: its pid.
pub(crate) const PARENT: &str = "CLUSTER_PARENT";

/// What the server may take for an answer, before it is asked again.
const ANSWER: Duration = Duration::from_secs(2);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// One process's place in the job.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    job: String,
    options: Options,
    url: String,
    client: Client,
    jetstream: jetstream::Context,
    threads: Threads,
    /// Last, so that it is dropped when nobody talks to it any more.
    _server: Option<Server>,
}

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Sent {
    /// It is stored.
    New,
    /// Another one of this name is stored already.
    Known,
    /// There is no room, now.
    Full,
    /// Somebody has changed what it would have replaced.
    Outdated,
}

impl Cluster {
    /// Connects to the server that the options name, or starts one.
    ///
    /// # Errors
    /// There is no server, it cannot be reached, or it refuses.
    pub fn join(options: Options) -> Result<Cluster> {
        end_with_parent()?;
        let job = match &options.job {
            Some(job) => job.clone(),
            None => program_name()?,
        };
        let simple = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        ensure!(
            !job.is_empty() && job.chars().all(simple),
            "a job's name is of letters, digits, - and _, not {job:?}"
        );
        let (url, server) = match &options.server {
            Some(url) => (url.clone(), None),
            None => {
                ensure!(
                    options.role.is_none(),
                    "a role needs a server: --server URL"
                );
                ensure!(
                    !options.elsewhere,
                    "others need a server, too: --server URL"
                );
                let server = Server::start(&Listen::default())?;
                (server.url().to_owned(), Some(server))
            }
        };
        let threads = Threads::start()?;
        // On a thread of its own: see there.
        let connected = threads.spawn(connect(url.clone(), options.clone()));
        let client = threads.wait(connected)??;
        let builder = jetstream::context::ContextBuilder::new()
            .timeout(ANSWER)
            .ack_timeout(ANSWER);
        let jetstream = threads.wait(async { builder.build(client.clone()) });
        let cluster = Cluster(Arc::new(Inner {
            job,
            options,
            url,
            client,
            jetstream,
            threads,
            _server: server,
        }));
        if cluster.options().role.is_none() {
            cluster.wait(cluster.be_alone())?;
            if cluster.options().anew {
                cluster.remove()?;
            }
        }
        Ok(cluster)
    }

    /// Two parents would share a job's tasks, and the first to end would end it for both. So each
    /// answers who asks whether there is one. The server says at once if nobody hears a question.
    async fn be_alone(&self) -> Result<()> {
        let (question, start) = (self.subject("parent", "there"), Instant::now());
        loop {
            match self.client().request(question.clone(), "".into()).await {
                Ok(_) => bail!(
                    "the job {:?} has a parent that runs; --job gives this one another name",
                    self.job()
                ),
                // Somebody hears it who is slow, or was cut off.
                Err(error)
                    if error.kind() == RequestErrorKind::TimedOut
                        && start.elapsed() < self.options().patience() => {}
                Err(_) => break,
            }
        }
        let mut asked = self.client().subscribe(question).await?;
        self.client().flush().await?;
        let client = self.client().clone();
        self.threads().spawn(async move {
            while let Some(message) = asked.next().await {
                if let Some(who) = message.reply {
                    drop(client.publish(who, "".into()).await);
                }
            }
        });
        Ok(())
    }

    /// Removes all that the job has stored at the server. The parent calls it when all is done.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub fn end(self) -> Result<()> {
        self.ensure_parent()?;
        self.remove()
    }

    fn remove(&self) -> Result<()> {
        let names = ["tasks", "results", "items", "ends", "counted"];
        let mut names: Vec<String> = names.iter().map(|name| self.name(name)).collect();
        names.push(format!("KV_{}", self.job()));
        self.wait(async {
            for name in names {
                self.patiently("to remove a stream", async || {
                    match self.jetstream().delete_stream(&name).await {
                        Err(error) if is_missing(&error) => Ok(()),
                        other => other.map(drop),
                    }
                })
                .await?;
            }
            Ok(())
        })
    }

    /// Which server it is.
    pub fn server_line(&self) -> String {
        let server = self.client().server_info();
        let tls = if server.tls_required {
            "with"
        } else {
            "without"
        };
        format!(
            "nats-server {} at {}:{}, {tls} TLS, takes messages of up to {} bytes.",
            server.version, server.host, server.port, server.max_payload
        )
    }

    /// The server's version.
    pub fn server_version(&self) -> String {
        self.client().server_info().version
    }

    /// Whether the other parts are started elsewhere.
    pub fn is_elsewhere(&self) -> bool {
        self.options().elsewhere && self.options().role.is_none()
    }

    pub(crate) fn ensure_parent(&self) -> Result<()> {
        match &self.options().role {
            Some(role) => bail!("no part of this program is called {role:?}"),
            None => Ok(()),
        }
    }

    pub(crate) fn job(&self) -> &str {
        &self.0.job
    }

    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.options
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(crate) fn jetstream(&self) -> &jetstream::Context {
        &self.0.jetstream
    }

    pub(crate) fn threads(&self) -> &Threads {
        &self.0.threads
    }

    pub(crate) fn wait<F: Future>(&self, future: F) -> F::Output {
        self.0.threads.wait(future)
    }

    /// A stream's name.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.job())
    }

    /// The subject of one thing in a stream.
    pub(crate) fn subject(&self, what: &str, id: impl Display) -> String {
        format!("{}.{what}.{id}", self.job())
    }

    /// A stream of this job. The parent makes it; others wait until it has done so.
    pub(crate) async fn stream(&self, what: &str, config: Config) -> Result<Stream> {
        let (name, subjects) = (self.name(what), vec![self.subject(what, ">")]);
        let config = Config {
            name: name.clone(),
            subjects,
            ..config
        };
        let make = self.options().role.is_none();
        self.patiently("for the stream of its job", async || {
            if make {
                self.jetstream()
                    .get_or_create_stream(config.clone())
                    .await
                    .map_err(|error| error.to_string())
            } else {
                let stream = self.jetstream().get_stream(&name).await;
                stream.map_err(|error| error.to_string())
            }
        })
        .await
    }

    /// Tries until it works; or says that it gives up.
    pub(crate) async fn patiently<T, E: Display>(
        &self,
        what: &str,
        mut attempt: impl AsyncFnMut() -> Result<T, E>,
    ) -> Result<T> {
        let start = Instant::now();
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(_) if start.elapsed() < self.options().patience() => sleep(PAUSE).await,
                Err(error) => {
                    let patience = self.options().patience;
                    bail!("gave up after {patience} s waiting {what}: {error}");
                }
            }
        }
    }

    /// Sends what must be stored once.
    pub(crate) async fn store(&self, subject: &str, payload: Vec<u8>) -> Result<()> {
        let sent = self.publish(subject, HeaderMap::new(), payload).await?;
        ensure!(sent != Sent::Full, "the server has no room for {subject}");
        Ok(())
    }

    /// Sends until the server says what it has made of it. Sent twice, it must count once: so says
    /// each caller, by the stream's rules or by the headers.
    pub(crate) async fn publish(
        &self,
        subject: &str,
        headers: HeaderMap,
        payload: Vec<u8>,
    ) -> Result<Sent> {
        let start = Instant::now();
        loop {
            let (headers, payload) = (headers.clone(), payload.clone().into());
            let sent = self
                .jetstream()
                .publish_with_headers(subject.to_owned(), headers, payload);
            let acknowledged = match sent.await {
                Ok(acknowledgement) => acknowledgement.await,
                Err(error) => Err(error),
            };
            let error = match acknowledged {
                Ok(ack) if ack.duplicate => return Ok(Sent::Known),
                Ok(_) => return Ok(Sent::New),
                Err(error) => error,
            };
            match error.kind() {
                PublishErrorKind::WrongLastSequence => return Ok(Sent::Outdated),
                PublishErrorKind::TimedOut
                | PublishErrorKind::BrokenPipe
                | PublishErrorKind::MaxAckPending
                | PublishErrorKind::StreamNotFound => {} // the server is not there, or not yet
                PublishErrorKind::Other => match refusal(&error) {
                    Some(refusal) => return Ok(refusal),
                    None => return Err(anyhow!(error).context(format!("to send to {subject}"))),
                },
                _ => return Err(anyhow!(error).context(format!("to send to {subject}"))),
            }
            ensure!(
                start.elapsed() < self.options().patience(),
                "gave up after {} s waiting for the server to store {subject}: {error}",
                self.options().patience
            );
            sleep(PAUSE).await;
        }
    }
}

/// The server has one code for both, and tells them apart in words.
fn refusal(error: &PublishError) -> Option<Sent> {
    let error = std::error::Error::source(error)?.downcast_ref::<jetstream::Error>()?;
    if error.error_code() != ErrorCode::STREAM_STORE_FAILED {
        return None;
    }
    let text = error.to_string();
    if text.contains("per subject") {
        Some(Sent::Known)
    } else if text.contains("maximum") {
        Some(Sent::Full)
    } else {
        None
    }
}

/// Of what a [`subject`](Cluster::subject) is: its last part.
pub(crate) fn subject_id(subject: &str) -> &str {
    subject.rsplit('.').next().unwrap_or_default()
}

/// Whether the server knows no such stream.
pub(crate) fn is_missing(error: &GetStreamError) -> bool {
    matches!(
        error.kind(),
        GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND
    )
}

async fn connect(url: String, options: Options) -> Result<Client> {
    let start = Instant::now();
    let host = url.rsplit('@').next().unwrap_or_default(); // without the password
    let address: ServerAddr = url
        .parse()
        .with_context(|| format!("no server's URL: {host}"))?;
    loop {
        let mut connection = ConnectOptions::new()
            // A host that was cut off says nothing. So ask, or half a minute goes by.
            .ping_interval(Duration::from_secs(1))
            .connection_timeout(ANSWER)
            .request_timeout(Some(ANSWER))
            .reconnect_delay_callback(|_| PAUSE);
        if let Some(ca) = &options.ca {
            connection = connection
                .require_tls(true)
                .add_root_certificates(ca.clone());
        }
        if let Some(file) = &options.credentials {
            let read = connection.credentials_file(file).await;
            connection = read.with_context(|| format!("no credentials in {}", file.display()))?;
        }
        if let (Some(user), Some(password)) = (address.username(), address.password()) {
            // async-nats lets those of the URL be.
            connection = connection.user_and_password(user.to_owned(), password.to_owned());
        }
        let error = match connection.connect(address.clone()).await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                bail!("the server at {host} refuses this name and password")
            }
            ConnectErrorKind::Tls => bail!("no safe connection to {host}: {error}"),
            // That is one of those, too.
            _ if error.to_string().contains("certificate") => {
                bail!("no safe connection to {host}: {error}; --ca FILE says who may sign it")
            }
            _ if start.elapsed() < options.patience() => sleep(PAUSE).await,
            _ => bail!(
                "no server answers at {host} within {} s: {error}",
                options.patience
            ),
        }
    }
}

/// A part that the parent has started ends with it, also when that is killed.
fn end_with_parent() -> Result<()> {
    let Ok(parent) = env::var(PARENT) else {
        return Ok(());
    };
    set_pdeathsig(Signal::SIGKILL)?;
    // It may have died before that.
    ensure!(
        parent.parse() == Ok(getppid().as_raw()) && getppid() != Pid::from_raw(1),
        "the parent has ended"
    );
    Ok(())
}

fn program_name() -> Result<String> {
    let program = env::current_exe().context("the program's name is not known")?;
    let name = program.file_stem().unwrap_or_default();
    Ok(name.to_string_lossy().into_owned())
}
