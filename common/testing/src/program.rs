//! Runs a program, for a limited time, and leaves no process of it behind.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, PipeWriter, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigHandler, Signal, killpg, signal};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// Far more than any program here takes, also on a busy machine.
const TIME_LIMIT: Duration = Duration::from_secs(120);
/// What a process may take to end after the program that it belongs to.
const GRACE: Duration = Duration::from_secs(3);

/// Runs a program to its end.
///
/// # Panics
/// As [`Program::wait`] does.
#[track_caller]
pub fn run(path: impl AsRef<OsStr>) -> Output {
    Program::start(Command::new(path)).wait()
}

/// Runs a Python program of this package, `python/NAME.py`. `None` where there is no `python3`,
/// and a line that says so, also when a test's output is not shown.
///
/// # Panics
/// As [`Program::wait`] does.
#[track_caller]
pub fn python(name: &str) -> Option<Output> {
    let version = Command::new("python3").arg("--version").output();
    match version {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            drop(writeln!(
                io::stderr(),
                "not run, as there is no python3: {name}.py"
            ));
            None
        }
        _ => {
            let mut python = Command::new("python3");
            // Without the user's settings, such as PYTHONUNBUFFERED.
            python.arg("-E").arg(format!("python/{name}.py"));
            Some(Program::start(python).wait())
        }
    }
}

/// Whether a tool of the system's is there and may do its work, by a command that tries it: a
/// debugger may be missing, or forbidden. If not, a line says so, also when a test's output is not
/// shown.
pub fn can_use(tool: &str, arguments: &[&str]) -> bool {
    let tried = Command::new(tool).args(arguments).output();
    let works = tried.is_ok_and(|output| output.status.success());
    if !works {
        drop(writeln!(
            io::stderr(),
            "not run, as it cannot be used here: {tool}"
        ));
    }
    works
}

/// Runs a program many times and presses Ctrl-C at another moment each time: all its processes get
/// `SIGINT`. Each must end within two seconds, with the conventional status and at most one
/// message, unless the program was faster.
///
/// # Panics
/// A run does not do so; and as [`Program::wait`] does.
#[track_caller]
pub fn interrupt(path: impl AsRef<OsStr>) {
    interrupt_command(|| Command::new(&path));
}

/// Like [`interrupt`], for a program with arguments.
///
/// # Panics
/// As [`interrupt`] does.
#[track_caller]
pub fn interrupt_command(command: impl Fn() -> Command) {
    let start = Instant::now();
    Program::start(command()).wait();
    let usual = start.elapsed();
    const RUNS: u32 = 30;
    for number in 0..RUNS {
        let program = Program::start(command());
        thread::sleep(usual * number / RUNS); // another moment of its work each time
        let interrupted = killpg(program.group(), Signal::SIGINT);
        let output = program.wait_for(Duration::from_secs(2), Duration::from_secs(2));
        let ended = output.status.signal() == Some(Signal::SIGINT as i32) && interrupted.is_ok();
        assert!(
            (ended || output.status.success()) && output.stderr.lines().count() <= 1,
            "after Ctrl-C: {}\n{}",
            output.status,
            output.stderr
        );
    }
}

/// Runs a program many times with an output that nobody reads, or only its first byte, as
/// `program | head -1` does. It must end as most programs do then: by `SIGPIPE`, without a
/// message, and all of its processes. With the first byte read, it may have been faster.
///
/// # Panics
/// A run does not do so; and as [`Program::wait`] does.
#[track_caller]
pub fn into_broken_pipe(path: impl AsRef<OsStr>) {
    into_broken_pipe_command(|| Command::new(&path));
}

/// Like [`into_broken_pipe`], for a program with arguments.
///
/// # Panics
/// As [`into_broken_pipe`] does.
#[track_caller]
pub fn into_broken_pipe_command(command: impl Fn() -> Command) {
    const RUNS: usize = 20;
    for number in 0..2 * RUNS {
        let read = number % 2;
        let (reader, writer) = io::pipe().expect("there are descriptors for a pipe");
        let mut reader = (read > 0).then_some(reader);
        // A program that another test is just starting has a copy of the reader until it begins.
        let is_broken = || {
            let mut ends = [PollFd::new(writer.as_fd(), PollFlags::empty())];
            (reader.is_some() || poll(&mut ends, PollTimeout::ZERO) == Ok(1)).then_some(())
        };
        within(GRACE, is_broken).expect("nobody reads");
        let mut command = command();
        let program = Program::start_into(&mut command, Some(writer)).expect("it starts");
        drop(command); // our copy of the program's end
        if let Some(mut reader) = reader.take() {
            let printed = reader.read_exact(&mut [0]);
            printed.expect("it prints something");
        }
        let output = program.wait();
        let ended = output.status.signal() == Some(Signal::SIGPIPE as i32);
        assert!(
            (ended || (read > 0 && output.status.success())) && output.stderr.is_empty(),
            "with {read} byte read: {}\n{}",
            output.status,
            output.stderr
        );
    }
}

/// The binary of an example of this package. `cargo test` builds the examples.
///
/// # Panics
/// It is not there: `cargo test --test NAME` does not build it.
#[track_caller]
pub fn example(name: &str) -> PathBuf {
    // A test is target/PROFILE/deps/TEST, an example target/PROFILE/examples/NAME.
    let test = env::current_exe().expect("the path of this test is known");
    let profile = test.ancestors().nth(2).unwrap_or(Path::new("/"));
    let example = profile.join("examples").join(name);
    assert!(
        example.is_file(),
        "there is no {}: run `cargo build --examples` first",
        example.display()
    );
    example
}

/// The binaries of all examples of this package.
///
/// # Panics
/// As [`example`] does.
#[track_caller]
pub fn examples() -> Vec<PathBuf> {
    let mut examples = Vec::new();
    // A package's tests run in its folder.
    for entry in fs::read_dir("examples").expect("the package has examples") {
        let path = entry.expect("its folder can be read").path();
        let name = path.file_stem().and_then(OsStr::to_str);
        examples.push(example(name.expect("a name is UTF-8")));
    }
    examples
}

/// What a program printed, and how it ended.
#[derive(Debug)]
pub struct Output {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Its exit code or the signal that ended it.
    pub status: ExitStatus,
}

impl Output {
    /// The standard output, in whole lines, of a program that succeeded and had nothing to
    /// complain about.
    ///
    /// # Panics
    /// It failed, printed something on standard error, or its output does not end with one
    /// newline. Snapshots are compared without white space around them, so they do not see that.
    #[track_caller]
    pub fn success(self) -> String {
        assert!(
            self.status.success() && self.stderr.is_empty(),
            "the program ended with {}\n{}{}",
            self.status,
            self.stdout,
            self.stderr
        );
        assert_eq!(
            self.stdout,
            format!("{}\n", self.stdout.trim()),
            "an output is whole lines, and not empty"
        );
        self.stdout
    }
}

/// A running program, with all the processes that it starts.
///
/// They are a process group of their own. **Dropping** it, also when a test panics, kills the
/// whole group.
#[derive(Debug)]
pub struct Program {
    leader: Child,
    // Files, not pipes: nobody has to read them for the program to go on.
    stdout: File,
    stderr: File,
    gone: bool,
}

impl Program {
    /// Starts the program, without input, and so that Ctrl-C ends it. From now on, this process
    /// does not ignore `SIGINT`.
    ///
    /// # Panics
    /// It cannot be started.
    #[track_caller]
    pub fn start(mut command: Command) -> Program {
        // A script's background job ignores it, and so would the programs that it starts.
        #[expect(unsafe_code, reason = "nix has no safe function for it")]
        // SAFETY: the default handler runs no code of this program.
        unsafe { signal(Signal::SIGINT, SigHandler::SigDfl) }.expect("there is such a signal");
        Self::try_start(&mut command)
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
    }

    /// Starts the program, without input.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn try_start(command: &mut Command) -> io::Result<Program> {
        Self::start_into(command, None)
    }

    /// With its standard output kept, or written elsewhere.
    fn start_into(command: &mut Command, elsewhere: Option<PipeWriter>) -> io::Result<Program> {
        // The program's orphans become children of this process, which can wait for them.
        set_child_subreaper(true)?;
        let (stdout, stderr) = (memory_file()?, memory_file()?);
        let leader = command
            .stdin(Stdio::null())
            .stdout(match elsewhere {
                Some(elsewhere) => Stdio::from(elsewhere),
                None => stdout.try_clone()?.into(),
            })
            .stderr(stderr.try_clone()?)
            .process_group(0)
            .spawn()?;
        Ok(Program {
            leader,
            stdout,
            stderr,
            gone: false,
        })
    }

    /// The pid of the program's first process, which is also the number of the group.
    pub fn pid(&self) -> u32 {
        self.leader.id()
    }

    /// How the program has ended, if it has.
    ///
    /// # Errors
    /// The system's.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.leader.try_wait()
    }

    /// How many bytes it has printed so far, on standard output and standard error together.
    ///
    /// # Errors
    /// The system's.
    pub fn printed(&self) -> io::Result<u64> {
        Ok(self.stdout.metadata()?.len() + self.stderr.metadata()?.len())
    }

    /// What it has printed so far, on standard output and on standard error; of each no more than
    /// the first so many bytes.
    ///
    /// # Errors
    /// The system's.
    pub fn output_so_far(&self, limit: usize) -> io::Result<(String, String)> {
        Ok((
            read_so_far(&self.stdout, limit)?,
            read_so_far(&self.stderr, limit)?,
        ))
    }

    /// Waits for the end of the program and of all that it has started.
    ///
    /// # Panics
    /// The program takes longer than two minutes, or one of its processes outlives it.
    #[track_caller]
    pub fn wait(self) -> Output {
        self.wait_for(TIME_LIMIT, GRACE)
    }

    #[track_caller]
    fn wait_for(mut self, limit: Duration, grace: Duration) -> Output {
        let status = within(limit, || self.leader.try_wait().ok().flatten());
        let left_behind = status.is_some() && !self.orphans_end(grace);
        self.kill();
        let (stdout, stderr) = (read(&mut self.stdout), read(&mut self.stderr));
        match status {
            Some(status) if !left_behind => Output {
                stdout,
                stderr,
                status,
            },
            Some(_) => panic!("the program left a process running behind it\n{stdout}{stderr}"),
            None => panic!("the program did not end within {limit:?}\n{stdout}{stderr}"),
        }
    }

    /// Whether all processes of the group but the first, which was waited for, end in time.
    fn orphans_end(&mut self, grace: Duration) -> bool {
        let group = Pid::from_raw(-self.group().as_raw());
        let ended = within(grace, || match waitpid(group, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => Some(()),
            _ => None,
        });
        self.gone = ended.is_some();
        self.gone
    }

    fn kill(&mut self) {
        // The number belongs to the group as long as one of its processes was not waited for.
        if !self.gone && killpg(self.group(), Signal::SIGKILL).is_ok() {
            drop(self.leader.wait());
            self.orphans_end(GRACE);
        }
    }

    fn group(&self) -> Pid {
        Pid::from_raw(self.leader.id().cast_signed())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks again and again until there is an answer or the time is over.
fn within<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let answer = ask();
        if answer.is_some() || start.elapsed() >= limit {
            return answer;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn memory_file() -> io::Result<File> {
    let file = File::from(memfd_create(c"output", MFdFlags::MFD_CLOEXEC)?);
    // Else two processes that write at once can write to the same place (measured).
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    Ok(file)
}

/// Without moving the place where the program writes.
fn read_so_far(file: &File, limit: usize) -> io::Result<String> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(limit);
    let mut bytes = vec![0; length.min(limit)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn read(file: &mut File) -> String {
    let mut bytes = Vec::new();
    // The program has moved the place where this file is read, too.
    match file.rewind().and_then(|()| file.read_to_end(&mut bytes)) {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => panic!("cannot read the program's output: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use nix::sys::signal::kill;

    use super::*;

    const SHORT: Duration = Duration::from_millis(200);

    fn shell(script: &str) -> Program {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Program::start(command)
    }

    /// What a wait that must fail panics with.
    fn complaint(program: Program, limit: Duration) -> String {
        let panic = catch_unwind(AssertUnwindSafe(|| program.wait_for(limit, SHORT)))
            .expect_err("the wait panics");
        *panic.downcast().expect("with a message")
    }

    fn group_is_gone(group: Pid) -> bool {
        kill(Pid::from_raw(-group.as_raw()), None) == Err(Errno::ESRCH)
    }

    #[test]
    fn output_and_status_are_kept_apart() {
        let output = shell("echo out; echo err >&2; cat; exit 3").wait();
        assert_eq!((&*output.stdout, &*output.stderr), ("out\n", "err\n"));
        assert_eq!(output.status.code(), Some(3));
    }

    #[test]
    fn much_output_on_both_does_not_block() {
        let output = shell("head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2").wait();
        assert_eq!(
            (output.stdout.len(), output.stderr.len()),
            (300_000, 300_000)
        );
    }

    #[test]
    fn lines_of_several_processes_stay_whole() {
        let count = "for i in $(seq 2000); do echo line; done";
        let output = shell(&format!("({count}) & ({count}); wait")).wait();
        assert!(output.success() == "line\n".repeat(4000));
    }

    #[test]
    fn a_program_that_does_not_end_is_killed_with_its_group() {
        let program = shell("echo begun; sleep 1000 & sleep 1000");
        let group = program.group();
        let complaint = complaint(program, SHORT);
        assert!(
            complaint.contains("did not end within 200ms"),
            "{complaint}"
        );
        assert!(group_is_gone(group));
    }

    #[test]
    fn a_process_left_behind_is_found_and_killed() {
        let program = shell("sleep 1000 & echo done");
        let group = program.group();
        let complaint = complaint(program, TIME_LIMIT);
        assert!(complaint.contains("left a process running"), "{complaint}");
        assert!(complaint.contains("done"), "{complaint}");
        assert!(group_is_gone(group));
    }

    #[test]
    fn a_running_program_can_be_looked_at() {
        let mut program = shell("echo out; echo err >&2; sleep 1000");
        let printed = within(TIME_LIMIT, || (program.printed().ok()? == 8).then_some(()));
        printed.expect("it prints");
        let all = ("out\n".to_owned(), "err\n".to_owned());
        assert_eq!(program.output_so_far(100).ok(), Some(all));
        let some = ("ou".to_owned(), "er".to_owned());
        assert_eq!(program.output_so_far(2).ok(), Some(some));
        assert!(matches!(program.try_wait(), Ok(None)));
    }

    #[test]
    fn a_process_that_ends_soon_after_is_not_left_behind() {
        assert_eq!(shell("sleep 0.05 & echo done").wait().success(), "done\n");
    }

    #[test]
    fn a_dropped_program_is_killed_with_its_group() {
        let program = shell("sleep 1000 & sleep 1000");
        let group = program.group();
        drop(program);
        assert!(group_is_gone(group));
    }

    #[test]
    #[should_panic(expected = "cannot start")]
    fn a_missing_program_is_said() {
        run("/there/is/no/such/program");
    }

    #[test]
    #[should_panic(expected = "run `cargo build --examples` first")]
    fn a_missing_example_is_said() {
        example("no_such_example");
    }

    #[test]
    #[should_panic(expected = "exit status: 1")]
    fn a_failure_is_no_success() {
        shell("exit 1").wait().success();
    }

    #[test]
    #[should_panic(expected = "complaint")]
    fn a_complaint_is_no_success() {
        shell("echo complaint >&2").wait().success();
    }

    #[test]
    #[should_panic(expected = "whole lines")]
    fn an_unfinished_line_is_no_success() {
        shell("printf unfinished").wait().success();
    }
}
