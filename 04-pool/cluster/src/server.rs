//! A server for trying out: it ends with this process, however that ends, and leaves nothing.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{SigSet, Signal};
use serde::Deserialize;

/// Waits for the end of its input, which comes when this process has ended, in whatever way; then
/// kills the server and removes the folder. A Ctrl-C that comes before it is in a group of its own
/// must not end it.
const KEEPER: &str = r#"
trap '' INT TERM HUP QUIT
setpriv --pdeathsig KILL "$1" --config "$2/server.conf" </dev/null 2>"$2/server.log" &
cat
kill -KILL $!
wait $!
rm -rf "$2"
"#;

/// On a busy machine, too.
const START: Duration = Duration::from_secs(20);

/// Where a server listens.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Port 0 is any that is free.
    pub address: SocketAddr,
    /// A certificate and its key, both PEM, for TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
}

impl Default for Listen {
    fn default() -> Self {
        Listen {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            tls: None,
        }
    }
}

/// A running server. **Dropping** it ends it and removes what it has stored.
#[derive(Debug)]
pub struct Server {
    url: String,
    keeper: Child,
}

/// What the server writes when it listens.
#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
}

impl Server {
    /// Starts `nats-server` in a folder of its own, with a password of its own.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start(listen: &Listen) -> Result<Server> {
        let program = find("nats-server").context(
            "there is no nats-server here: install it (`apt-get install nats-server` on Debian and \
             Ubuntu), or name one that runs with --server URL",
        )?;
        // Until the keeper has it, nobody would remove the folder.
        let _until_kept = Postponed::ctrl_c()?;
        // Only this user may look into it: the password is there.
        let folder = tempfile::Builder::new()
            .prefix("cluster-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir();
        let folder = folder.context("no folder for the server; TMPDIR names where it may be")?;
        let password: String = (0..32).map(|_| fastrand::alphanumeric()).collect();
        let path = |path: &Path| format!("{:?}", path.display().to_string());
        let mut config = format!(
            "listen: \"{}:{}\"\nauthorization {{ user: cluster, password: \"{password}\" }}\n\
             jetstream {{ store_dir: {} }}\nports_file_dir: {}\n",
            listen.address.ip(),
            match listen.address.port() {
                0 => -1, // as the server says it
                port => i32::from(port),
            },
            path(folder.path()),
            path(folder.path()),
        );
        if let Some((certificate, key)) = &listen.tls {
            config += &format!(
                "tls {{ cert_file: {}, key_file: {} }}\n",
                path(certificate),
                path(key)
            );
        }
        let file = folder.path().join("server.conf");
        fs::write(&file, config).with_context(|| format!("cannot write {}", file.display()))?;

        let keeper = Command::new("sh")
            .args([OsStr::new("-c"), OsStr::new(KEEPER), OsStr::new("keeper")])
            .args([program.as_os_str(), folder.path().as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .arg0("cluster-keeper")
            .process_group(0) // Ctrl-C is not for it
            .spawn()
            .context("no shell can be started")?;
        let folder = folder.keep(); // from here on it is the keeper's
        let mut server = Server {
            url: String::new(),
            keeper,
        };
        let address = server.address(&folder)?;
        server.url = format!("nats://cluster:{password}@{address}");
        Ok(server)
    }

    /// Waits until it listens.
    fn address(&self, folder: &Path) -> Result<SocketAddr> {
        let start = Instant::now();
        loop {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.extension() == Some(OsStr::new("ports"))
                    // Not whole yet, maybe.
                    && let Ok(ports) = serde_json::from_slice::<Ports>(&fs::read(&path)?)
                    && let Some(url) = ports.nats.first()
                {
                    let address = url
                        .trim_start_matches("nats://")
                        .trim_start_matches("tls://");
                    return Ok(address.parse()?);
                }
            }
            let log = fs::read_to_string(folder.join("server.log")).unwrap_or_default();
            // So it says why it ends.
            let end = |line: &&str| line.contains("[FTL]") || line.starts_with("nats-server: ");
            if let Some(why) = log.lines().find(end) {
                bail!("nats-server does not start: {why}");
            }
            ensure!(
                start.elapsed() < START,
                "nats-server does not start; its log:\n{log}"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// With the name and the password.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
    }
}

/// Signals that would end this process wait, as long as this lives.
struct Postponed(SigSet);

impl Postponed {
    fn ctrl_c() -> Result<Postponed> {
        let signals = [
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGQUIT,
        ];
        let before = SigSet::thread_get_mask()?;
        signals.into_iter().collect::<SigSet>().thread_block()?;
        Ok(Postponed(before))
    }
}

impl Drop for Postponed {
    fn drop(&mut self) {
        let _ = self.0.thread_set_mask(); // it was in force before
    }
}

/// Debian has it where a user's `PATH` does not lead.
fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let mut files = folders.map(|folder| folder.join(program));
    files.find(|file| file.is_file())
}
