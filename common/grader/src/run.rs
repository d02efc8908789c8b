//! One run of a program, under the grader's eyes.

use std::collections::HashMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use common::trace::{Act, Event, Hold, Side, Then, Trace};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use testing::Program;

use crate::course::{Point, Run};
use crate::family::{self, Member, Sleep};
use crate::story::Story;

/// Between two looks. All that is counted in looks may take longer on a busy machine, never shorter.
const LOOK: Duration = Duration::from_millis(10);
/// Events that a run may write down.
const ROOM: usize = 200_000;
/// So many looks at which nobody could go on, one after the other, are a standstill.
const STILL: u32 = 4;
/// For a verdict it takes so many, unless the library itself has said it before.
const STILL_UNTOLD: u32 = 50;
/// Who waits in the library naps, and looks after each nap: so often since anything moved.
const NAPS: u64 = 2;
/// Who sleeps with a limit, again and again, without anything moving, for a run's `patience`, must
/// have slept so often.
const POLLS: u64 = 10;
/// So many calls are those of a loop, and not of one who computes and then waits.
const CALLS: u64 = 100;
/// Processor time, in ticks of 10 ms, that a process burns while another one is held, or while
/// nobody else can go on. The second number is for who makes fewer calls: it may compute.
const BURNT_BESIDE_A_HOLD: [u64; 2] = [20, 200];
const BURNT_ALONE: [u64; 2] = [300, 500];
/// Looks at which nobody ran, all together, in a run and while a process is held: who says "still
/// waiting" now and then moves, and yet never ends.
const ASLEEP: u32 = 12_000;
const ASLEEP_BESIDE_A_HOLD: u32 = 600;
/// Looks that a process may outlive the program by.
const GRACE: u32 = 100;
/// No program here needs more.
const MEMBERS: usize = 200;
const PRINTED: u64 = 16 << 20;
const MEMORY: u64 = 2 << 30;
const ADDRESSES: u64 = 8 << 30;
const FILE_SIZE: u64 = 256 << 20;

/// What a run has come to.
#[derive(Debug)]
pub struct Seen {
    /// How the program ended, if it did.
    pub status: Option<ExitStatus>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// What its processes wrote down.
    pub events: Vec<Event>,
    /// Why it was ended, or what it left behind.
    pub trouble: Option<Trouble>,
    /// The process that was to be held came to its point.
    pub was_held: bool,
    /// And so did the one that was to be killed.
    pub was_killed: bool,
}

/// What no run should come to.
#[derive(Debug)]
pub enum Trouble {
    /// Nobody can go on. In a circle, or not; who waits for what.
    Standstill {
        /// They wait for each other.
        is_circle: bool,
        /// Line by line.
        chain: Vec<String>,
    },
    /// Somebody waits with a limit, again and again, for what does not come.
    Polling {
        /// Who, and for what.
        chain: Vec<String>,
    },
    /// A process burns the processor, and could only wait.
    Busy {
        /// Which.
        who: String,
        /// While this one was held.
        held: Option<String>,
    },
    /// It had too much of something.
    Excess(String),
    /// Processes that outlived it.
    Orphans(Vec<String>),
    /// A process that has ended, and that nobody waited for, while another one was held.
    Zombie(String),
    /// Files that it left behind.
    Files(Vec<String>),
    /// What a process was held for never happened.
    NotTogether,
    /// It moved on and on; what.
    Slow(String),
}

/// Runs programs, each in an empty folder, and leaves nothing of them.
#[derive(Debug)]
pub struct Runner {
    /// The grader's own program, which becomes the student's.
    grade: PathBuf,
    scratch: PathBuf,
    interrupts: SignalFd,
}

impl Drop for Runner {
    fn drop(&mut self) {
        family::end();
        drop(fs::remove_dir_all(&self.scratch));
    }
}

/// The person has pressed Ctrl-C.
#[derive(Debug)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

impl Runner {
    /// With the path of the program `grade`. From now on, this process gets no `SIGINT`: each run
    /// looks for it.
    ///
    /// # Errors
    /// The system's.
    pub fn new(grade: PathBuf) -> Result<Runner> {
        let mut signals = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            signals.add(signal);
        }
        signals.thread_block()?;
        let interrupts =
            SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        // Whose parent ends becomes a child of this process.
        prctl::set_child_subreaper(true)?;
        let mut scratch;
        for number in 0.. {
            scratch = std::env::temp_dir().join(format!("grade-{}-{number}", std::process::id()));
            match fs::create_dir(&scratch) {
                Ok(()) => {
                    return Ok(Runner {
                        grade,
                        scratch,
                        interrupts,
                    });
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => bail!("cannot make {}: {error}", scratch.display()),
            }
        }
        unreachable!("there are enough numbers")
    }

    /// A folder for what is built.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Ends with an error if Ctrl-C was pressed.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn look_for_interrupts(&self) -> Result<()> {
        match self.interrupts.read_signal() {
            Ok(Some(_)) => Err(Interrupted.into()),
            _ => Ok(()),
        }
    }

    /// Runs the program once.
    ///
    /// # Errors
    /// The system's, or [`Interrupted`]; of an exercise that asks for what cannot be.
    pub fn run(&self, program: &Path, run: &Run, seed: Option<u64>) -> Result<Seen> {
        let trace = Trace::in_memory(ROOM).context("no memory for a record")?;
        trace.tell_deadlocks();
        let point = |point: &Option<Point>, then| -> Result<Option<usize>> {
            let Some(point) = point else { return Ok(None) };
            Ok(Some(trace.hold(&hold(point, then)?)?))
        };
        let holds = Holds {
            first: point(&run.hold, Then::Stop)?,
            second: point(&run.until, Then::Stop)?,
            meanwhile: run
                .meanwhile
                .iter()
                .map(|point| Ok(trace.hold(&hold(point, Then::Stop)?)?))
                .collect::<Result<_>>()?,
        };
        let kill = point(&run.kill, Then::Kill)?;
        let folder = self.scratch.join("run");
        fs::create_dir_all(&folder)?;
        let mut command = Command::new(&self.grade);
        command
            .arg("inside")
            .arg(program)
            .args(&run.args)
            .current_dir(&folder);
        command.env("MP_TRACE", trace.path()).env("MP_ASLEEP", "5");
        command.env("RUST_BACKTRACE", "0").env_remove("MP_CHAOS");
        seed.map(|seed| command.env("MP_CHAOS", seed.to_string()));
        let program = Program::try_start(&mut command).context("cannot start the program")?;
        let mut watch = Watch {
            run,
            trace: &trace,
            program,
            holds,
            story: Story::default(),
            length: 0,
            since: Since::default(),
            was_held: false,
            asleep: [0; 2],
        };
        let seen = self.watch(&mut watch);
        family::end();
        let mut seen = seen?;
        seen.was_killed = kill.is_some_and(|it| trace.held(it).is_some());
        // A program may have removed it.
        let files = fs::read_dir(&folder).into_iter().flatten().flatten();
        let files: Vec<_> = files
            .map(|it| it.file_name().to_string_lossy().into_owned())
            .collect();
        drop(fs::remove_dir_all(&folder));
        if !files.is_empty() && seen.trouble.is_none() {
            seen.trouble = Some(Trouble::Files(files));
        }
        Ok(seen)
    }

    fn watch(&self, watch: &mut Watch<'_>) -> Result<Seen> {
        let (mut status, mut trouble) = (None, None);
        while trouble.is_none() {
            self.look_for_interrupts()?;
            status = watch.program.try_wait()?;
            if status.is_some() {
                break;
            }
            trouble = watch.look()?;
            if trouble.is_none() {
                sleep(LOOK);
            }
        }
        watch.read();
        let mut looks = 0;
        while trouble.is_none() {
            self.look_for_interrupts()?;
            let left: Vec<Member> = family::family();
            let left: Vec<&Member> = left.iter().filter(|it| it.is_alive()).collect();
            if left.is_empty() {
                break;
            }
            looks += 1;
            if looks > GRACE {
                let names = left.into_iter().map(|it| watch.story.name(it));
                trouble = Some(Trouble::Orphans(names.collect()));
            }
            sleep(LOOK);
        }
        let (stdout, stderr) = watch.program.output_so_far(PRINTED as usize)?;
        let events = watch.trace.events().collect();
        Ok(Seen {
            status,
            stdout,
            stderr,
            events,
            trouble,
            was_held: watch.was_held,
            was_killed: false,
        })
    }
}

struct Holds {
    first: Option<usize>,
    second: Option<usize>,
    meanwhile: Vec<usize>,
}

/// What is another if something has moved.
#[derive(Default, PartialEq)]
struct Progress {
    events: u64,
    /// Events that found no room, where those before got on.
    unseen: u64,
    printed: u64,
    /// Memory, in steps of 16 MiB.
    memory: u64,
    pids: Vec<u32>,
}

/// The program's state since something last moved.
#[derive(Default)]
struct Since {
    progress: Progress,
    looks: u32,
    still: u32,
    /// Events at the last look.
    length: usize,
    /// Of each process, what it had done.
    then: HashMap<u32, Done>,
}

/// What a process has done.
#[derive(Clone, Copy, Default)]
struct Done {
    /// Processor time.
    ticks: u64,
    /// How often it has slept ...
    naps: u64,
    /// ... called the library ...
    calls: u64,
    /// ... and waited in vain.
    in_vain: u64,
}

/// Whether the processes that are not held get on.
#[derive(Clone, Copy, PartialEq)]
enum Standing {
    /// As far as one can see.
    Moving,
    /// They look again and again, with limits, and nothing comes of it.
    Polling,
    /// All sleep without a limit.
    Still,
}

struct Watch<'a> {
    run: &'a Run,
    trace: &'a Trace,
    program: Program,
    holds: Holds,
    story: Story,
    length: usize,
    since: Since,
    was_held: bool,
    /// Looks at which nobody ran, in the run and while a process is held.
    asleep: [u32; 2],
}

impl Watch<'_> {
    /// Reads what was written down since the last time.
    fn read(&mut self) {
        if self.trace.len() != self.length {
            self.length = self.trace.len();
            self.story = Story::of(self.trace.events());
        }
    }

    fn look(&mut self) -> Result<Option<Trouble>> {
        // In this order: whoever is held, or has just begun, is in the picture of the family.
        self.read();
        let first = self.held(self.holds.first);
        self.was_held |= first.is_some();
        if first.is_some() && !self.holds.meanwhile.is_empty() {
            for hold in self.holds.meanwhile.drain(..) {
                self.trace.release(hold);
            }
            self.since = Since::default();
        }
        let second = self.held(self.holds.second);
        let meanwhile = self.holds.meanwhile.iter().map(|it| self.held(Some(*it)));
        let held: Vec<u32> = meanwhile.chain([first, second]).flatten().collect();
        let family = family::family();
        let printed = self.program.printed()?;
        if let Some(excess) = excess(&family, printed) {
            return Ok(Some(Trouble::Excess(excess)));
        }
        let alive: Vec<Member> = family.iter().filter(|it| it.is_alive()).cloned().collect();
        let ticks: u64 = alive.iter().map(|it| it.ticks).sum();
        if ticks > 100 * self.run.seconds || self.asleep[0] > ASLEEP {
            return Ok(Some(Trouble::Slow(self.story.moved())));
        }
        self.note_progress(&alive, printed);
        if self.has_happened(first, second)? {
            self.release();
            return Ok(None);
        }
        let others: Vec<Member> = {
            let others = alive.iter().filter(|it| !held.contains(&it.pid));
            others.cloned().collect()
        };
        let sleeps: Vec<Sleep> = others.iter().map(|it| self.sleep(it, &others)).collect();
        let standing = self.standing(&others, &sleeps);
        if held.is_empty() {
            return Ok(self.alone(&alive, &sleeps, standing));
        }
        if self.run.no_zombie && standing == Standing::Still {
            let zombie = family.iter().find(|it| !it.is_alive());
            if let Some(zombie) = zombie {
                return Ok(Some(Trouble::Zombie(self.story.name(zombie))));
            }
        }
        let waits = |it: &&Member| self.story.is_asleep(it.pid) || self.is_manager(it);
        let mut burning = others.iter().filter(|it| !waits(it));
        if let Some(who) = burning.find(|it| self.burns(it, BURNT_BESIDE_A_HOLD)) {
            let who = self.story.name(who);
            let held = self.story.name_of(held[0]);
            return Ok(Some(Trouble::Busy { who, held }));
        }
        if self.asleep[1] > ASLEEP_BESIDE_A_HOLD {
            self.release();
        } else if standing != Standing::Moving {
            let name = self.run.hold.as_ref().map(|it| it.process.as_str());
            let lives = |it: &Member| self.story.plain_name(it.pid) == name;
            let may_come = first.is_some() || alive.iter().any(lives);
            if may_come && !self.run.missing.is_empty() {
                return Ok(Some(Trouble::NotTogether));
            }
            self.release();
        }
        Ok(None)
    }

    /// What it means that they stand, with nobody held.
    fn alone(&self, alive: &[Member], sleeps: &[Sleep], standing: Standing) -> Option<Trouble> {
        if let Some(story) = self.trace.deadlock() {
            let is_circle = self.story.is_circle(alive);
            let chain = story.lines().map(|line| line.trim().to_owned()).collect();
            return Some(Trouble::Standstill { is_circle, chain });
        }
        let chain = || self.story.chain(alive);
        match standing {
            Standing::Still if self.since.still >= STILL_UNTOLD => {
                let is_circle = self.story.is_circle(alive);
                let chain = chain();
                return Some(Trouble::Standstill { is_circle, chain });
            }
            Standing::Polling => return Some(Trouble::Polling { chain: chain() }),
            _ => {}
        }
        let awake = alive
            .iter()
            .zip(sleeps)
            .filter(|(_, it)| **it == Sleep::Awake);
        let awake: Vec<&Member> = awake.map(|(member, _)| member).collect();
        let [one] = awake[..] else { return None };
        self.burns(one, BURNT_ALONE).then(|| {
            let who = self.story.name(one);
            Trouble::Busy { who, held: None }
        })
    }

    /// Who is at the point of a hold, and was not released.
    fn held(&self, hold: Option<usize>) -> Option<u32> {
        hold.and_then(|hold| self.trace.held(hold))
    }

    /// Whether that has happened for which the first one is held.
    fn has_happened(&self, first: Option<u32>, second: Option<u32>) -> Result<bool> {
        Ok(match (first, &self.run.until_line) {
            (None, _) => false,
            (_, Some(line)) => {
                let (stdout, _) = self.program.output_so_far(PRINTED as usize)?;
                stdout.lines().any(|it| it.starts_with(line.as_str()))
            }
            _ => second.is_some(),
        })
    }

    /// Begins anew to count if anything has moved.
    fn note_progress(&mut self, alive: &[Member], printed: u64) {
        let progress = Progress {
            events: self.story.progress,
            unseen: if self.story.got_on() {
                self.trace.dropped()
            } else {
                0
            },
            printed,
            memory: alive.iter().map(|it| it.pages).sum::<u64>() >> 12,
            pids: alive.iter().map(|it| it.pid).collect(),
        };
        if progress != self.since.progress {
            let then = alive.iter().map(|it| {
                let done = Done {
                    ticks: it.ticks,
                    naps: it.naps(),
                    calls: self.story.calls(it.pid),
                    in_vain: self.story.waits_in_vain(it.pid),
                };
                (it.pid, done)
            });
            let then = then.collect();
            self.since = Since {
                progress,
                then,
                ..Since::default()
            };
        }
    }

    /// What it had done when anything moved.
    fn then(&self, member: &Member) -> Done {
        self.since
            .then
            .get(&member.pid)
            .copied()
            .unwrap_or_default()
    }

    /// Whether it has burnt so much processor time since anything moved.
    fn burns(&self, member: &Member, [by_calls, by_work]: [u64; 2]) -> bool {
        let then = self.then(member);
        // Without room for its calls, nobody knows.
        let calls = self.story.calls(member.pid) - then.calls;
        let is_by_calls = self.trace.dropped() > 0 || calls > CALLS;
        member.ticks - then.ticks > if is_by_calls { by_calls } else { by_work }
    }

    /// Sleeps since anything moved.
    fn napped(&self, member: &Member) -> u64 {
        member.naps().saturating_sub(self.then(member).naps)
    }

    /// How often it has looked in vain since then. In one call of this library it naps often.
    fn looked(&self, member: &Member) -> u64 {
        match self.story.waits_in_vain(member.pid) - self.then(member).in_vain {
            0 if !self.story.is_busy(member.pid) => self.napped(member),
            in_vain => in_vain,
        }
    }

    fn is_manager(&self, member: &Member) -> bool {
        self.story.plain_name(member.pid) == Some("manager")
    }

    fn sleep(&self, member: &Member, others: &[Member]) -> Sleep {
        // Who is noted as asleep looks after each nap, and may have been woken just now.
        if self.story.is_asleep(member.pid) {
            return match member.state {
                _ if self.napped(member) < NAPS => Sleep::Awake,
                'S' => Sleep::Unlimited,
                _ => Sleep::Looking,
            };
        }
        // Who waits for a manager's lock asks it after each nap who holds the lock.
        let acts = |it: &Member| self.story.is_busy(it.pid) && !self.story.is_asleep(it.pid);
        match member.sleep() {
            Sleep::Awake if self.is_manager(member) && !others.iter().any(acts) => Sleep::Looking,
            sleep => sleep,
        }
    }

    /// Counts this look.
    fn standing(&mut self, others: &[Member], sleeps: &[Sleep]) -> Standing {
        if others.is_empty() {
            return Standing::Still;
        }
        let deepest = sleeps.iter().copied().max().unwrap_or(Sleep::Unlimited);
        if deepest != Sleep::Awake {
            self.asleep[0] += 1;
            self.asleep[1] += u32::from(self.holds.first.is_some());
        }
        match deepest {
            Sleep::Unlimited => self.since.still += 1,
            Sleep::Looking => {}
            Sleep::Limited => (self.since.still, self.since.looks) = (0, self.since.looks + 1),
            Sleep::Awake => self.since.still = 0,
        }
        if std::mem::replace(&mut self.since.length, self.length) != self.length {
            self.since.still = 0;
        }
        let mut all = others.iter().zip(sleeps);
        let polls = |(member, sleep): (&Member, &Sleep)| {
            *sleep <= Sleep::Looking || self.looked(member) >= POLLS
        };
        match deepest {
            Sleep::Unlimited if self.since.still >= STILL => Standing::Still,
            Sleep::Limited if self.since.looks >= self.run.patience && all.all(polls) => {
                Standing::Polling
            }
            _ => Standing::Moving,
        }
    }

    fn release(&mut self) {
        let holds = [self.holds.first.take(), self.holds.second.take()];
        let holds = holds.into_iter().flatten();
        for hold in holds.chain(self.holds.meanwhile.drain(..)) {
            self.trace.release(hold);
        }
        self.since = Since::default();
    }
}

fn excess(family: &[Member], printed: u64) -> Option<String> {
    let pages: u64 = family.iter().map(|it| it.pages).sum();
    if family.len() > MEMBERS {
        return Some(format!(
            "It had more than {MEMBERS} processes at once, and was ended."
        ));
    }
    if printed > PRINTED {
        return Some("It printed more than 16 MiB, and was ended.".to_owned());
    }
    (pages * 4096 > MEMORY).then(|| "It held more than 2 GiB of memory, and was ended.".to_owned())
}

fn hold(point: &Point, then: Then) -> Result<Hold> {
    let (side, act) = match (&point.before, &point.after) {
        (Some(act), None) => (Side::Before, act),
        (None, Some(act)) => (Side::After, act),
        _ => bail!("a point is before or after something"),
    };
    let act = Act::ALL.into_iter().find(|it| it.name() == act);
    Ok(Hold {
        process: point.process.clone(),
        act: act.context("no such act")?,
        side,
        nth: point.nth,
        then,
    })
}

/// Becomes the student's program, which ends with the grader, and cannot fill memory or disk.
///
/// # Errors
/// It cannot be started.
pub fn inside(program: &Path, args: &[String]) -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    SigSet::all().thread_unblock()?;
    setrlimit(Resource::RLIMIT_AS, ADDRESSES, ADDRESSES)?;
    setrlimit(Resource::RLIMIT_FSIZE, FILE_SIZE, FILE_SIZE)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    // However many they become, the grader is to have its turn.
    let mut nice = Command::new("nice");
    Err(nice.arg("--adjustment=5").arg(program).args(args).exec()).context("cannot run `nice`")
}
