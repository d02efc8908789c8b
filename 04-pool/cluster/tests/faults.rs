//! What is lost when processes, hosts and the server go: nothing that was acknowledged.

mod helpers;

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::process::{self, Command};
use std::thread;
use std::time::Duration;

use clap::Parser;
use cluster::{Cluster, Options};
use futures_util::StreamExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::geteuid;
use testing::example;
use tokio::time::timeout;

use helpers::{Nats, Run, countdown, until};

fn storm(nats: &Nats, arguments: &str) -> Command {
    let mut command = Command::new(example("storm"));
    command.args(arguments.split_whitespace());
    command.args(["--server", &nats.url()]);
    command
}

/// A thousand tasks of 5 ms on four workers take more than a second.
const LONG: &str = "--takes 5 --every 0";
/// What must not end before it is killed, or the server is, takes more than ten.
const LONGER: &str = "--takes 40 --every 0";

fn quarters(run: &Run, number: u32) {
    until("some are done", || {
        run.printed().contains(&format!("{number} of 4 quarters"))
    });
}

#[test]
fn a_killed_server_loses_nothing() {
    let mut nats = Nats::start();
    let run = Run::start(storm(&nats, LONG));
    for quarter in [1, 2, 3] {
        quarters(&run, quarter);
        nats.kill();
        nats.start_again();
    }
    let output = run.wait().success();
    assert!(output.contains("1000 outcomes, each once\n"), "{output}");
    assert_eq!(nats.streams(), [""; 0], "its streams are removed");
}

/// As after a loss of power: what was not yet on the disk is gone.
#[test]
fn tasks_that_the_server_has_forgotten_are_sent_again() {
    let mut nats = Nats::start();
    let run = Run::start(storm(&nats, "--takes 40 --every 0 --tasks 600"));
    quarters(&run, 1);
    nats.kill();
    nats.forget("storm-tasks");
    nats.start_again();
    let output = run.wait().success();
    assert!(output.contains("600 outcomes, each once\n"), "{output}");
}

#[test]
fn a_watch_sees_what_was_changed_before_it() {
    let nats = Nats::start();
    let options = Options::parse_from(["test", "--job", "watch", "--server", &nats.url()]);
    let cluster = Cluster::join(options).expect("it runs");
    let value = cluster.value("value", 0).expect("it is made");
    for _ in 0..10 {
        value.update(|value| value + 1).expect("it is changed");
    }
    let mut seen = Vec::new();
    let watched = value.watch(&mut [], |value| {
        seen.push(value);
        match value {
            10 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    });
    watched.expect("it is there");
    assert_eq!(seen, Vec::from_iter(0..=10));
    cluster.end().expect("it runs still");
}

/// The server makes a change, and its sender does not hear so in time, and asks again: before each
/// kill, as a server that is killed remembers only the last 64.
#[test]
fn a_slow_or_killed_server_makes_no_change_twice() {
    // Two seconds for an answer, and more.
    let until_asked_again = || thread::sleep(Duration::from_millis(3500));
    let mut nats = Nats::start();
    let mut command = Command::new(example("updates"));
    command.args(["--server", &nats.url(), "--times", "14000"]);
    let run = Run::start(command);
    until("some are done", || nats.messages("KV_updates") > 10);
    nats.signal(Signal::SIGSTOP);
    thread::sleep(Duration::from_secs(3)); // longer than anybody waits for an answer
    nats.signal(Signal::SIGCONT);
    for _ in 0..2 {
        until_asked_again();
        nats.kill();
        nats.start_again();
    }
    let output = run.wait().success();
    assert!(output.ends_with("28000 of 28000\n"), "{output}");
    assert_eq!(nats.streams(), [""; 0], "its streams are removed");
}

#[test]
fn without_a_server_they_give_up_and_say_so() {
    let mut nats = Nats::start();
    let run = Run::start(storm(&nats, &format!("{LONGER} --patience 3")));
    quarters(&run, 1);
    nats.kill();
    let output = run.wait();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stderr.contains("gave up after 3 s"), "{output:?}");
}

/// The other three are idle. If its worker did not say that it is at it, each of them would get the
/// task, after two, four and six seconds; one may, if the worker gets no processor for so long.
#[test]
fn a_long_task_is_not_taken_for_a_dead_one() {
    let nats = Nats::start();
    let run = Run::start(storm(&nats, "--tasks 1 --takes 8000 --every 0"));
    let output = run.wait().success();
    assert!(output.contains("1 outcomes, each once\n"), "{output}");
    let runs = output.lines().find_map(|line| line.strip_prefix("runs: "));
    let runs: Option<u32> = runs.and_then(|runs| runs.parse().ok());
    assert!(runs.is_some_and(|runs| runs < 4), "{output}");
}

#[test]
fn a_killed_parent_goes_on_where_it_was() {
    let nats = Nats::start();
    let first = Run::start(storm(&nats, LONGER));
    quarters(&first, 2);
    first.signal(Signal::SIGKILL);
    first.wait(); // its workers have ended with it
    assert_ne!(nats.streams(), [""; 0], "the job is still there");
    // Who was taken for dead may come with a second one.
    let second = nats.ask(async |_, jetstream| {
        let sent = jetstream.publish("storm.results.0", "another".into());
        sent.await.expect("it is sent").await
    });
    assert!(second.is_err(), "{second:?}");

    let output = Run::start(storm(&nats, LONG)).wait().success();
    assert!(output.contains("1000 outcomes, each once\n"), "{output}");
    let before = output
        .lines()
        .find_map(|line| line.strip_suffix(" had an outcome before"));
    let before = before.and_then(|number| number.parse::<u32>().ok());
    assert!(before.is_some_and(|before| before >= 500), "{output}");
    assert_eq!(nats.streams(), [""; 0], "its streams are removed");
}

fn mandelbrot(nats: &Nats, arguments: &str) -> Command {
    let mut command = Command::new(example("mandelbrot"));
    command.args(["--workers", "2", "--server", &nats.url()]);
    command.args(arguments.split_whitespace());
    command
}

/// Their outcomes would be another picture's.
#[test]
fn a_job_that_was_begun_with_other_arguments_is_not_gone_on_with() {
    let nats = Nats::start();
    let first = Run::start(mandelbrot(&nats, "--output /nowhere/picture.png"));
    until("some are done", || nats.messages("mandelbrot-results") > 10);
    first.signal(Signal::SIGKILL);
    first.wait();

    let small = "--width 64 --height 48";
    let output = Run::start(mandelbrot(&nats, small)).wait();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stderr.contains("--anew"), "{output:?}");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("picture.png");
    let small = format!("{small} --anew --output {}", file.display());
    Run::start(mandelbrot(&nats, &small)).wait().success();
    assert_eq!(nats.streams(), [""; 0], "its streams are removed");
}

#[test]
fn a_worker_of_another_job_is_not_taken() {
    let nats = Nats::start();
    let job = ["--job", "one", "--elsewhere"];
    let parent = Run::start(pool(&nats.url(), &job));
    until("it is there", || nats.streams().len() == 3);
    let error = refused(storm(&nats, "--role worker --job one"));
    assert!(error.contains("of the type fn(u32) -> i64"), "{error}");
    parent.signal(Signal::SIGKILL);
    parent.wait();
}

#[test]
fn a_job_has_one_parent() {
    let nats = Nats::start();
    let job = "--tasks 100 --every 0";
    let mut parent = storm(&nats, job);
    parent.arg("--elsewhere"); // it does not come to an end before there is a worker
    let first = Run::start(parent);
    until("it is there", || !nats.streams().is_empty());
    let error = refused(storm(&nats, job));
    assert!(error.contains("has a parent that runs"), "{error}");
    // One that answers late is one, too.
    first.signal(Signal::SIGSTOP);
    let second = Run::start(storm(&nats, job));
    thread::sleep(Duration::from_secs(3)); // longer than anybody waits for an answer
    first.signal(Signal::SIGCONT);
    let error = second.wait().stderr;
    assert!(error.contains("has a parent that runs"), "{error}");

    let worker = Run::start(storm(&nats, "--role worker"));
    let output = first.wait().success();
    assert!(output.contains("100 outcomes, each once\n"), "{output}");
    let output = worker.wait();
    assert!(output.status.success(), "as the job has ended: {output:?}");
}

/// In which nobody comes to an end before it is killed.
fn long_updates(nats: &Nats) -> Command {
    let mut command = Command::new(example("updates"));
    command.args(["--times", "1000000", "--server", &nats.url()]);
    command
}

#[test]
fn who_watches_does_not_wait_for_ever() {
    // Those who change a value.
    let nats = Nats::start();
    let run = Run::start(long_updates(&nats));
    until("both are at it", || {
        let both = ["first", "second"].map(|role| !run.parts(role).is_empty());
        both == [true, true] && nats.messages("KV_updates") > 10
    });
    let part = |role: &str| run.parts(role)[0];
    kill(part("first"), Signal::SIGSTOP).expect("it is ours"); // nothing is heard of it, either
    kill(part("second"), Signal::SIGKILL).expect("it is ours");
    let output = run.wait();
    assert!(
        output.stderr.contains("second failed: signal: 9"),
        "{output:?}"
    );

    // The server.
    let mut nats = Nats::start();
    let process = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_process"));
        command.args(["--server", &nats.url(), "--patience", "3"]);
        command
    };
    let (mut parent, mut worker) = (process(), process());
    parent.arg("--elsewhere"); // it watches until Ctrl-C
    worker.args(["--role", "worker 2"]); // and this one works for an hour
    let (parent, worker) = (Run::start(parent), Run::start(worker));
    until("it is there", || {
        parent.printed().contains("worker 2 is there")
    });
    nats.kill();
    let output = parent.wait();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    worker.signal(Signal::SIGKILL);
    worker.wait();
}

#[test]
fn each_item_counts_once_in_spite_of_deaths() {
    let nats = Nats::start();
    nats.close("queue-ends"); // nobody comes to an end before the last of them is killed
    let run = Run::start(queue(&nats));
    for role in [
        "consumer 1",
        "producer 2",
        "consumer 2",
        "producer 1",
        "consumer 1",
    ] {
        until("it is there", || !run.parts(role).is_empty());
        thread::sleep(Duration::from_millis(150)); // some work
        for pid in run.parts(role) {
            kill(pid, Signal::SIGKILL).expect("it is ours");
        }
    }
    nats.open("queue-ends");
    let output = run.wait().success();
    assert!(
        output.contains("Together they counted 2000, each once.\n"),
        "{output}"
    );
}

fn queue(nats: &Nats) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_queue"));
    command.args(["--server", &nats.url(), "--patience", "60"]);
    command
}

/// Who finished a task or an item first, and stored that then, would lose it when he is killed. So
/// here nothing can be stored, and nothing may be finished.
#[test]
fn what_is_not_stored_is_not_finished() {
    for (job, tasks, results) in [("storm", "tasks", "results"), ("queue", "items", "counted")] {
        let nats = Nats::start();
        nats.close(&format!("{job}-{results}"));
        let run = Run::start(match job {
            "storm" => storm(&nats, LONG),
            _ => queue(&nats),
        });
        let account = nats.ask(async |client, jetstream| {
            let subject = format!("{job}.{results}.*");
            let mut asked = client.subscribe(subject).await.expect("it is heard");
            let mut known = HashSet::new();
            // Until one asks again: all that he has sent before has arrived.
            let again = async {
                while known.insert(asked.next().await.expect("one asks").subject.to_string()) {}
            };
            let again = timeout(Duration::from_secs(60), again).await;
            again.expect("nobody asks to store anything");
            let stream = jetstream.get_stream(format!("{job}-{tasks}")).await;
            let stream = stream.expect("it is there");
            stream.consumer_info("takers").await.expect("it is there")
        });
        assert!(account.delivered.stream_sequence > 0, "{account:?}");
        assert_eq!(account.ack_floor.stream_sequence, 0, "{account:?}");
        run.signal(Signal::SIGKILL);
        run.wait();
    }
}

/// As after its death: it has items, and by its account of who has had which nobody shall get them.
#[test]
fn items_that_the_server_gives_to_nobody_are_given_out_anew() {
    let mut nats = Nats::start();
    nats.close("queue-ends"); // neither of them ends before it is looked at
    let run = Run::start(queue(&nats));
    until("half are done", || nats.messages("queue-counted") > 1000);
    nats.end(Signal::SIGTERM); // so that its account is in the file
    let account = fs::read(nats.account("queue-items")).expect("it is there");
    run.signal(Signal::SIGKILL);
    run.wait();

    let mut nats = Nats::start();
    nats.close("queue-ends");
    let run = Run::start(queue(&nats));
    until("some are done", || nats.messages("queue-counted") > 0);
    nats.kill();
    fs::write(nats.account("queue-items"), account).expect("it can be written");
    nats.start_again();
    nats.open("queue-ends");
    let output = run.wait().success();
    assert!(output.contains("counted 2000, each once.\n"), "{output}");
}

#[test]
fn a_fast_producer_does_not_fill_the_server() {
    let nats = Nats::start();
    let mut command = Command::new(example("backpressure"));
    command.args(["--server", &nats.url()]);
    Run::start(command).wait().success();
    assert!(
        nats.peak() < 150,
        "{} MB, of 200 that went through",
        nats.peak()
    );
    assert_eq!(nats.streams(), [""; 0], "its streams are removed");
}

/// A program that fails, and what it says.
fn refused(command: Command) -> String {
    let output = Run::start(command).wait();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(output.stdout, "", "{output:?}");
    output.stderr
}

fn pool(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pool"));
    command
        .args(["--server", url, "--patience", "3"])
        .args(arguments);
    command
}

#[test]
fn nobody_gets_in_without_the_password() {
    let nats = Nats::start();
    for who in ["", "cluster:wrong@", "root:of_the_test@"] {
        let error = refused(pool(&format!("nats://{who}{}", nats.address()), &[]));
        assert!(error.contains("refuses this name and password"), "{error}");
    }
    let output = Run::start(pool(&nats.url(), &[])).wait().success();
    assert!(countdown(&output) <= -30, "{output}");
}

#[test]
fn beyond_this_machine_it_takes_a_certificate() {
    let mut up = Command::new(env!("CARGO_BIN_EXE_up"));
    up.args(["--listen", "0.0.0.0:0"]);
    let error = refused(up);
    assert!(error.contains("in the clear"), "{error}");
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let nats = Nats::start();
    for (arguments, why) in [
        (
            ["--listen", nats.address(), "--patience=1"],
            "address already in use",
        ),
        (
            ["--certificate", "/nowhere", "--key=/nowhere"],
            "no such file",
        ),
    ] {
        let mut up = Command::new(env!("CARGO_BIN_EXE_up"));
        up.args(arguments);
        let error = refused(up);
        assert!(error.contains(why), "{error}");
    }
}

/// Nor in a file that another user may read.
#[test]
fn the_password_is_in_no_command_line() {
    let run = Run::start(Command::new(env!("CARGO_BIN_EXE_process")));
    until("they are there", || {
        run.printed().contains("worker 3 is there")
    });
    let part = run.parts("worker 3")[0];
    let variables = fs::read_to_string(format!("/proc/{part}/environ")).expect("it is ours");
    let url = variables
        .split("CLUSTER_SERVER=")
        .nth(1)
        .expect("it is told");
    let password = url.split([':', '@']).nth(2).expect("there is one");
    assert_eq!(password.len(), 32, "{url}");
    for entry in fs::read_dir("/proc").expect("there is one") {
        let line = fs::read(entry.expect("it can be read").path().join("cmdline"));
        let line = line.unwrap_or_default(); // no process, or one that has ended
        assert!(!String::from_utf8_lossy(&line).contains(password));
    }
    let folder = run.folder();
    let mode = fs::metadata(&folder).expect("it is there").mode();
    assert_eq!(mode & 0o077, 0, "{folder:?}");
    run.signal(Signal::SIGINT);
    run.wait();
}

#[test]
fn tls_with_a_certificate_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let folder = folder.path();
    for name in ["ours", "theirs"] {
        let mut command = Command::new("sh");
        let text = fs::read_to_string("../../book/src/beyond.md").expect("there is a page");
        let line = text.lines().find(|line| line.starts_with("openssl req "));
        let line = line.expect("it says how").replace("ADDRESS", "127.0.0.1");
        let line = line.replace("up.", &format!("{name}."));
        let output = command.args(["-c", &line]).current_dir(folder).output();
        let output = output.expect("there is a shell");
        assert!(output.status.success(), "{output:?}");
    }
    let mut up = Command::new(env!("CARGO_BIN_EXE_up"));
    up.arg("--certificate").arg(folder.join("ours.pem"));
    up.arg("--key").arg(folder.join("ours.key"));
    let up = Run::start(up);
    until("it says how to reach it", || up.printed().contains("pool"));
    let printed = up.printed();
    let url = printed
        .lines()
        .find_map(|line| line.split_once("CLUSTER_SERVER="))
        .expect("a URL")
        .1;
    assert!(printed.contains("--ca FILE"), "{printed}");

    let ca = |name: &str| folder.join(name).display().to_string();
    let output = Run::start(pool(url, &["--ca", &ca("ours.pem")]))
        .wait()
        .success();
    assert!(countdown(&output) <= -30, "{output}");
    for arguments in [&["--ca", &ca("theirs.pem")][..], &[]] {
        let error = refused(pool(url, arguments));
        assert!(error.contains("certificate"), "{error}");
    }
    up.signal(Signal::SIGINT);
    up.wait();
}

/// In a view of the files in which the server's is none.
#[test]
fn without_a_server_installed_it_says_what_to_install() {
    let hide = "for file in /usr/sbin/nats-server /usr/local/sbin/nats-server $(which nats-server);\
                do test -f $file && mount --bind /dev/null $file; done; exec \"$0\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", hide, env!("CARGO_BIN_EXE_pool")]);
    let allowed = Command::new("unshare").args(["--mount", "true"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        drop(writeln!(
            io::stderr(),
            "not run, as no file can be hidden here"
        ));
        return;
    }
    let error = refused(command);
    assert!(error.contains("apt-get install nats-server"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

/// A switch and two hosts, each a network namespace.
struct Hosts(String);

impl Hosts {
    /// As root only, and where that is allowed.
    fn new() -> Option<Hosts> {
        let hosts = Hosts(format!("mp{}", process::id()));
        if let Err(error) = hosts.build() {
            // Also when a test's output is not shown.
            drop(writeln!(
                io::stderr(),
                "not run, as there are no hosts here: {error}"
            ));
            return None;
        }
        Some(hosts)
    }

    fn build(&self) -> Result<(), String> {
        if !geteuid().is_root() {
            return Err("it takes root".to_owned());
        }
        let name = &self.0;
        ip(&format!("netns add {name}s"))?;
        ip(&format!("-n {name}s link set lo up"))?;
        ip(&format!("-n {name}s link add name br0 type bridge"))?;
        ip(&format!("-n {name}s addr add 10.99.0.1/24 dev br0"))?;
        ip(&format!("-n {name}s link set br0 up"))?;
        for (host, number) in [("a", 2), ("b", 3)] {
            ip(&format!("netns add {name}{host}"))?;
            ip(&format!(
                "-n {name}s link add name {host} type veth peer name eth0 netns {name}{host}"
            ))?;
            ip(&format!("-n {name}s link set dev {host} master br0 up"))?;
            ip(&format!(
                "-n {name}{host} addr add 10.99.0.{number}/24 dev eth0"
            ))?;
            ip(&format!("-n {name}{host} link set eth0 up"))?;
        }
        Ok(())
    }

    fn link(&self, host: &str, state: &str) {
        ip(&format!("-n {}s link set dev {host} {state}", self.0)).expect("it worked before");
    }

    /// What runs a command there.
    fn at(&self, host: &str) -> Vec<String> {
        let words = ["ip", "netns", "exec"].map(str::to_owned);
        [&words[..], &[format!("{}{host}", self.0)]].concat()
    }

    fn run(&self, host: &str, command: &Command) -> Run {
        let words = self.at(host);
        let mut through = Command::new(&words[0]);
        through
            .args(&words[1..])
            .arg(command.get_program())
            .args(command.get_args());
        Run::start(through)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in ["a", "b", "s"] {
            drop(ip(&format!("netns del {}{host}", self.0)));
        }
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    let mut command = Command::new("ip");
    let output = command.args(arguments.split_whitespace()).output();
    let output = output.map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!(
            "ip {arguments}: {}",
            String::from_utf8_lossy(&output.stderr)
        ))
    }
}

#[test]
fn a_host_that_is_cut_off_costs_a_redelivery() {
    let Some(hosts) = Hosts::new() else { return };
    let nats = Nats::start_at("10.99.0.1:4222", hosts.at("s"));
    let arguments = "--tasks 600 --takes 20 --every 0";
    let mut parent = storm(&nats, arguments);
    parent.arg("--elsewhere");
    let worker = |patience: &str| {
        let mut worker = storm(&nats, arguments);
        worker.args(["--role", "worker", "--patience", patience]);
        worker
    };

    let parent = hosts.run("s", &parent);
    let (a, b) = (hosts.run("a", &worker("60")), hosts.run("b", &worker("10")));
    quarters(&parent, 1);
    hosts.link("a", "down");
    quarters(&parent, 2); // by the other one
    // For good, and seconds before it could do the other half, which the one that is back does.
    hosts.link("b", "down");
    hosts.link("a", "up");
    let output = parent.wait().success();
    assert!(output.contains("600 outcomes, each once\n"), "{output}");

    let output = a.wait();
    assert!(output.status.success(), "as the job has ended: {output:?}");
    let output = b.wait();
    assert!(output.stderr.contains("gave up after 10 s"), "{output:?}");
}
