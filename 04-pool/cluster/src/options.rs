//! What each program can be told.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Which server, and which part of the program. Without a word, all of it runs here, with a server
/// of its own.
#[derive(Parser, Clone, Debug)]
pub struct Options {
    /// The server, as nats://USER:PASSWORD@HOST:PORT; without it the program starts its own. Other
    /// users of the host can read arguments, not the variable
    #[arg(
        long,
        value_name = "URL",
        env = "CLUSTER_SERVER",
        hide_env_values = true
    )]
    pub server: Option<String>,
    /// A file with credentials, instead of a name and a password in the URL
    #[arg(long, value_name = "FILE", env = "CLUSTER_CREDENTIALS")]
    pub credentials: Option<PathBuf>,
    /// Who must have signed the server's certificate, as PEM; with it, nothing goes without TLS
    #[arg(long, value_name = "FILE", env = "CLUSTER_CA")]
    pub ca: Option<PathBuf>,
    /// A name for the job, under which a parent that is started again finds it [default: the
    /// program's name]
    #[arg(long, value_name = "NAME")]
    pub job: Option<String>,
    /// Forgets what an earlier life of the parent has left at the server
    #[arg(long)]
    pub anew: bool,
    /// Which part this process is, such as "worker"; without it, the parent
    #[arg(long, value_name = "NAME")]
    pub role: Option<String>,
    /// The parent starts no other part: you do, with --role, on this host or on others
    #[arg(long)]
    pub elsewhere: bool,
    /// For how many seconds to try again when the server does not answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub patience: u64,
}

impl Options {
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }
}
