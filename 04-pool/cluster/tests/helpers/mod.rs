//! Programs that leave nothing, and a server that can be killed and started again.

#![allow(dead_code, reason = "no test uses all of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use async_nats::jetstream::stream::{Config, DiscardPolicy};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;
use testing::{Output, Program};
use tokio::runtime::Builder;

/// Waits for it, with a limit that a busy machine does not reach.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// What the pool's program has counted down to. Each of its four tasks is done once at least, and
/// once more if its worker gets no processor for two seconds.
#[track_caller]
pub fn countdown(output: &str) -> i64 {
    let last = output.lines().last().unwrap_or_default();
    let number = last.strip_prefix("Shared variable value: ");
    let number = number.and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no number: {output}"))
}

/// A program with a temporary folder of its own.
pub struct Run {
    program: Program,
    temporary: TempDir,
}

impl Run {
    pub fn start(mut command: Command) -> Run {
        let temporary = tempfile::tempdir().expect("a folder can be made");
        command.env("TMPDIR", temporary.path());
        // Or errors would come with the place where they were made.
        command.env_remove("RUST_BACKTRACE");
        command.env_remove("RUST_LIB_BACKTRACE");
        command.env_remove("CLUSTER_SERVER");
        Run {
            program: Program::start(command),
            temporary,
        }
    }

    /// What it has printed so far.
    pub fn printed(&self) -> String {
        let printed = self.program.output_so_far(1 << 20);
        printed.expect("it can be read").0
    }

    /// The folder of its own server.
    pub fn folder(&self) -> PathBuf {
        let mut entries = fs::read_dir(self.temporary.path()).expect("the folder is there");
        entries
            .next()
            .expect("there is one")
            .expect("it can be read")
            .path()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.program.pid().try_into().expect("a pid"))
    }

    /// Ctrl-C goes to all of its processes, and so does each signal but `SIGKILL` here.
    pub fn signal(&self, signal: Signal) {
        let sent = match signal {
            Signal::SIGKILL => kill(self.pid(), signal),
            _ => killpg(self.pid(), signal),
        };
        sent.expect("it is ours");
    }

    /// The pids of the parts that it has started with this role.
    pub fn parts(&self, role: &str) -> Vec<Pid> {
        let pid = self.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        let children = children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok());
        let has_role = |pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0)
                .any(|argument| argument == role.as_bytes())
        };
        children.filter(has_role).map(Pid::from_raw).collect()
    }

    /// Waits for the end of it, of all that it has started, and of its folders.
    pub fn wait(self) -> Output {
        let output = self.program.wait();
        // What removes it has killed the server before that.
        let left = || {
            fs::read_dir(self.temporary.path())
                .expect("the folder is there")
                .count()
        };
        until("no folder is left behind", || left() == 0);
        output
    }
}

/// A server that keeps what it has stored when it is killed.
pub struct Nats {
    program: Option<Program>,
    folder: TempDir,
    address: String,
    through: Vec<String>,
}

const PASSWORD: &str = "of_the_test";

impl Nats {
    pub fn start() -> Nats {
        Nats::start_at("127.0.0.1:-1", Vec::new())
    }

    /// The command is started by another one, such as `ip netns exec NAME`.
    pub fn start_at(address: &str, through: Vec<String>) -> Nats {
        let mut nats = Nats {
            program: None,
            folder: tempfile::tempdir().expect("a folder can be made"),
            address: address.to_owned(),
            through,
        };
        nats.start_again();
        nats
    }

    /// At the same address.
    pub fn start_again(&mut self) {
        let folder = self.folder.path();
        let text = folder.display();
        let config = format!(
            "listen: \"{}\"\nauthorization {{ user: cluster, password: {PASSWORD} }}\n\
             jetstream {{ store_dir: \"{text}/store\" }}\nports_file_dir: \"{text}\"\n",
            self.address
        );
        fs::write(folder.join("server.conf"), config).expect("it can be written");
        for old in ports(folder) {
            fs::remove_file(old).expect("it was there");
        }
        // It ends with the thread of its test, however that ends.
        let mut words: Vec<&str> = self.through.iter().map(String::as_str).collect();
        words.extend(["setpriv", "--pdeathsig", "KILL", "nats-server", "--config"]);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(folder.join("server.conf"));
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin"));
        self.program = Some(Program::start(command));
        until("the server listens", || {
            let Some(file) = ports(folder).pop() else {
                return false;
            };
            let text = fs::read_to_string(file).unwrap_or_default();
            let Some(address) = text
                .split("nats://")
                .nth(1)
                .and_then(|rest| rest.split('"').next())
            else {
                return false;
            };
            self.address = address.to_owned();
            true
        });
    }

    pub fn kill(&mut self) {
        self.end(Signal::SIGKILL);
    }

    pub fn end(&mut self, signal: Signal) {
        self.signal(signal);
        self.program.take().expect("it runs").wait();
    }

    /// What a test asks it itself.
    pub fn ask<T>(&self, question: impl AsyncFnOnce(Client, Context) -> T) -> T {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.expect("no thread is needed").block_on(async {
            let client = ConnectOptions::with_user_and_password("cluster".into(), PASSWORD.into())
                .connect(&self.address)
                .await
                .expect("it runs");
            question(client.clone(), jetstream::new(client)).await
        })
    }

    /// Makes a stream before its job does, so that nothing can be stored in it.
    pub fn close(&self, stream: &str) {
        self.ask(async |_, jetstream| {
            let made = jetstream.create_stream(once(stream, "closed")).await;
            made.expect("it is made");
        });
    }

    /// Lets it take what its job stores once.
    pub fn open(&self, stream: &str) {
        self.ask(async |_, jetstream| {
            let subjects = format!("{}.>", stream.replace('-', "."));
            let changed = jetstream.update_stream(once(stream, &subjects)).await;
            changed.expect("it is changed");
        });
    }

    /// How many messages a stream has; none if it is not there.
    pub fn messages(&self, stream: &str) -> u64 {
        self.ask(async |_, jetstream| {
            let stream = jetstream.get_stream(stream).await;
            stream.map_or(0, |stream| stream.cached_info().state.messages)
        })
    }

    /// What it keeps of who has which message of a queue.
    pub fn account(&self, queue: &str) -> PathBuf {
        let streams = self.folder.path().join("store/jetstream/$G/streams");
        streams.join(queue).join("obs/takers/o.dat")
    }

    pub fn signal(&self, signal: Signal) {
        let pid = self.program.as_ref().expect("it runs").pid();
        let pid = Pid::from_raw(pid.try_into().expect("a pid"));
        kill(pid, signal).expect("it is ours");
    }

    pub fn url(&self) -> String {
        format!("nats://cluster:{PASSWORD}@{}", self.address)
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// The most memory that it has had, in MB.
    pub fn peak(&self) -> u64 {
        let pid = self.program.as_ref().expect("it runs").pid();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        number.expect("there is such a line") / 1024
    }

    /// Removes the messages of a stream; the server does not run.
    pub fn forget(&self, stream: &str) {
        let folder = self
            .folder
            .path()
            .join("store/jetstream/$G/streams")
            .join(stream);
        fs::remove_dir_all(folder.join("msgs")).expect("it was there");
        fs::create_dir(folder.join("msgs")).expect("it is gone");
    }

    /// The names of the streams that it has.
    pub fn streams(&self) -> Vec<String> {
        let folder = self.folder.path().join("store/jetstream/$G/streams");
        let Ok(entries) = fs::read_dir(folder) else {
            return Vec::new();
        };
        let names = entries.map(|entry| entry.expect("it can be read").file_name());
        names
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    }
}

/// As `once` in `pull.rs` has it.
fn once(stream: &str, subjects: &str) -> Config {
    Config {
        name: stream.to_owned(),
        subjects: vec![subjects.to_owned()],
        max_messages_per_subject: 1,
        discard: DiscardPolicy::New,
        discard_new_per_subject: true,
        ..Config::default()
    }
}

fn ports(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "ports"))
        .collect()
}
