//! What the chapter's programs print.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, Read};
use std::num::NonZero;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use testing::{
    Claim, Output, Program, any_order_then, assert_output, exact, example, examples, interrupt,
    interrupt_command, into_broken_pipe, into_broken_pipe_command, masked, python, run,
};

#[expect(
    dead_code,
    reason = "for the tests in it: cargo runs none of an example"
)]
#[path = "../examples/mandelbrot/load.rs"]
mod load;

/// The numbers of the lines that start in this way.
fn values_after(start: &str, output: &str) -> Vec<i64> {
    let values = output.lines().filter_map(|line| line.strip_prefix(start));
    values.filter_map(|value| value.parse().ok()).collect()
}

/// Checks what is true of the results whatever they are, and masks them.
fn results_masked(last: usize, output: &str) -> Claim {
    assert!(
        values_after("result: ", output)
            .iter()
            .all(|result| (-30..=0).contains(result)),
        "each task reads after its own ten subtractions:\n{output}"
    );
    masked("result: ", "[value]", any_order_then(last, output))
}

/// The same for processes, threads and Python.
fn four_tasks(output: &str) -> Claim {
    let end = values_after("Shared variable value: ", output);
    assert!(
        values_after("result: ", output)
            .iter()
            .any(|result| end == [*result]),
        "the task with the last subtraction reads what is left in the end:\n{output}"
    );
    results_masked(1, output)
}

#[test]
fn main_program() {
    assert_output!(four_tasks(&run(env!("CARGO_BIN_EXE_04-pool")).success()));
}

#[test]
fn threads() {
    assert_output!(four_tasks(&run(example("threads")).success()));
}

#[test]
fn error_callback() {
    let output = run(example("error_callback")).success();
    let sum = output.lines().last().unwrap_or_default();
    let numbers: Vec<i64> = sum
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [left, start, subtracted] = numbers[..] else {
        panic!("no sum in the last line: {output}");
    };
    assert_eq!(left, start - subtracted);
    assert!(
        (31..=40).contains(&subtracted),
        "three tasks make ten subtractions each, the failing one 1 to 10: {subtracted}"
    );
    let output = results_masked(3, &output);
    let output = masked("value: ", "[value]", output);
    assert_output!(masked(" - ", "[subtracted]", output));
}

#[test]
fn killed_worker() {
    let output = run(example("killed_worker")).success();
    assert_output!(masked("worker process ", "[pid]", output));
}

#[test]
fn outcomes() {
    assert_output!(exact(run(example("outcomes")).success()));
}

#[test]
fn unheard() {
    assert_output!(exact(run(example("unheard")).success()));
}

#[test]
fn equal_random() {
    assert_output!(exact(run(example("equal_random")).success()));
}

#[test]
fn python_main_program() {
    if let Some(output) = python("pool") {
        assert_output!("main_program", four_tasks(&output.success()));
    }
}

#[test]
fn python_killed_worker() {
    if let Some(output) = python("killed_worker") {
        assert_output!(exact(output.success()));
    }
}

#[test]
fn python_unheard() {
    if let Some(output) = python("unheard") {
        assert_output!(exact(output.success()));
    }
}

/// Without the one that is run with arguments, below.
fn plain_examples() -> impl Iterator<Item = PathBuf> {
    let examples = examples().into_iter();
    examples.filter(|example| !example.ends_with("mandelbrot"))
}

#[test]
fn ctrl_c_ends_them() {
    interrupt(env!("CARGO_BIN_EXE_04-pool"));
    plain_examples().for_each(interrupt);
}

#[test]
fn a_broken_pipe_ends_them() {
    into_broken_pipe(env!("CARGO_BIN_EXE_04-pool"));
    plain_examples().for_each(into_broken_pipe);
}

/// In Cargo's folder for what tests write.
fn mandelbrot(arguments: &str) -> Command {
    let mut command = Command::new(example("mandelbrot"));
    command.args(arguments.split_whitespace());
    command.current_dir(env!("CARGO_TARGET_TMPDIR"));
    // Or errors would come with the place where they were made.
    command.env_remove("RUST_BACKTRACE");
    command.env_remove("RUST_LIB_BACKTRACE");
    command
}

const WIDTH: usize = 64;
const HEIGHT: usize = 48;

/// The pixels of a PNG, whose size must be this.
fn pixels(name: &str) -> Vec<[u8; 3]> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let file = File::open(path).expect("there is a picture");
    let mut png = png::Decoder::new(BufReader::new(file))
        .read_info()
        .expect("it is a PNG");
    let info = png.info();
    assert_eq!((info.width as usize, info.height as usize), (WIDTH, HEIGHT));
    let mut pixels = vec![[0; 3]; WIDTH * HEIGHT];
    let frame = png
        .next_frame(pixels.as_flattened_mut())
        .expect("it is whole");
    assert_eq!(frame.buffer_size(), 3 * pixels.len());
    pixels
}

/// Whether each quarter of a pixel is in the set.
fn in_the_set(x: usize, y: usize) -> [bool; 4] {
    [(1, 1), (3, 1), (1, 3), (3, 3)].map(|(right, down)| {
        let real = (4 * x + right) as f64 / (4 * WIDTH) as f64 * 3.5 - 2.4;
        let imaginary = 1.3125 - (4 * y + down) as f64 / (4 * HEIGHT) as f64 * 2.625;
        let mut z = (0.0_f64, 0.0_f64);
        (0..500).all(|_| {
            z = (z.0 * z.0 - z.1 * z.1 + real, 2.0 * z.0 * z.1 + imaginary);
            z.0.hypot(z.1) <= 100.0
        })
    })
}

#[test]
fn mandelbrot_paints_the_set() {
    let arguments = "--workers=2 --size=64x48 --output=mandelbrot.png";
    let output = Program::start(mandelbrot(arguments)).wait().success();

    let pixels = pixels("mandelbrot.png");
    let mut black = 0;
    for (at, pixel) in pixels.iter().enumerate() {
        let (x, y) = (at % WIDTH, at / WIDTH);
        match in_the_set(x, y).iter().filter(|within| **within).count() {
            4 => assert_eq!(*pixel, [0; 3], "{x}, {y} is in the set"),
            0 => assert_ne!(*pixel, [0; 3], "{x}, {y} is not in the set"),
            _ => {} // mixed
        }
        black += usize::from(*pixel == [0; 3]);
    }
    assert!((300..900).contains(&black), "{black} pixels are in the set");
    let [red, green, blue] = pixels[0];
    assert!(
        red <= green && green < blue && blue < 128,
        "dark blue far outside: {:?}",
        pixels[0]
    );

    assert!(!output.contains('\x1b'), "no escape codes: {output:?}");
    assert_output!(times_masked(&without_workers(HEIGHT, &output)));
}

/// The lines that do not say how many rows a worker did, which must come to all rows. One worker
/// may be done before the other one begins.
fn without_workers(rows: usize, output: &str) -> String {
    let (workers, others): (Vec<_>, Vec<_>) = output
        .split_inclusive('\n')
        .partition(|line| line.starts_with("  worker "));
    assert!((1..=2).contains(&workers.len()), "{output}");
    let number = |line: &&str| line.split_whitespace().nth_back(1)?.parse::<usize>().ok();
    let sum: Option<usize> = workers.iter().map(number).sum();
    assert_eq!(sum, Some(rows), "each row was done once: {output}");
    others.concat()
}

const BUSY: &str = "The machine was busy ";

/// Whether other programs are at work is not for the test to say.
fn times_masked(output: &str) -> Claim {
    let lines = output.split_inclusive('\n');
    let output: String = lines.filter(|line| !line.starts_with(BUSY)).collect();
    let output = masked("processes: ", "[time]", output);
    let output = masked("rayon: ", "[time]", output);
    let output = masked("[time], ", "[ratio]", output);
    masked("process: ", "[time]", output)
}

/// From now on this thread has one core, and so has what it starts.
fn keep_to_one_core() {
    let here = Pid::from_raw(0);
    let all = sched_getaffinity(here).expect("the cores are known");
    let core = (0..CpuSet::count()).find(|core| all.is_set(*core) == Ok(true));
    let mut one = CpuSet::new();
    one.set(core.expect("there is a core"))
        .expect("a number below the count");
    sched_setaffinity(here, &one).expect("it may be kept to");
}

#[test]
fn mandelbrot_says_when_the_load_spoils_its_figures() {
    // In a thread of its own, since other tests may use what cores they like.
    let output = thread::spawn(|| {
        keep_to_one_core();
        let mut endless = Command::new("sh");
        endless.args(["-c", "while :; do :; done"]);
        let _busy = Program::start(endless);
        let arguments = "--size 640x480 --output busy.png";
        Program::start(mandelbrot(arguments)).wait().success()
    });
    let output = output.join().expect("it runs");
    assert!(
        output.lines().any(|line| line.starts_with(BUSY)),
        "{output}"
    );
}

#[test]
fn mandelbrot_helps() {
    let output = Program::start(mandelbrot("--help")).wait().success();
    assert_output!(exact(output));
}

const COLUMNS: NonZero<u16> = NonZero::new(80).expect("not 0");
const LINES: NonZero<u16> = NonZero::new(24).expect("not 0");

/// What a program writes to a terminal.
fn on_a_terminal(mut command: Command) -> String {
    let size = Winsize {
        ws_row: LINES.get(),
        ws_col: COLUMNS.get(),
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let terminal = openpty(&size, None).expect("there is another terminal");
    let mut program = command
        .stdout(terminal.slave)
        .env("TERM", "xterm")
        .spawn()
        .expect("it starts");
    drop(command); // our copy of the program's end
    let mut written = Vec::new();
    let mut terminal = File::from(terminal.master);
    let mut piece = [0; 4096];
    loop {
        let limit = PollTimeout::from(30_000_u16);
        let ready = poll(
            &mut [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)],
            limit,
        );
        if ready != Ok(1) {
            program.kill().expect("it is ours");
            panic!("nothing more for 30 seconds: {ready:?}");
        }
        // An error, EIO, when the program has ended.
        match terminal.read(&mut piece) {
            Ok(length) => written.extend_from_slice(&piece[..length]),
            Err(_) => break,
        }
    }
    assert!(program.wait().expect("it ends").success());
    String::from_utf8(written).expect("it writes UTF-8")
}

#[test]
fn mandelbrot_draws_bars_in_place_on_a_terminal() {
    let arguments = "--workers 2 --size 320x240 --output terminal.png";
    let written = on_a_terminal(mandelbrot(arguments));
    assert!(written.contains("█░"), "a bar grows: {written:?}");
    assert!(
        !written.contains("\x1b[?"),
        "no mode is left behind by Ctrl-C: {written:?}"
    );

    let mut terminal = vt100::Parser::new(LINES, COLUMNS, 0);
    terminal.process(written.as_bytes());
    let screen = terminal.screen().rows(0, COLUMNS.get());
    let screen: String = screen.map(|row| row + "\n").collect();
    assert_output!(times_masked(&without_workers(240, screen.trim_end())));
}

#[test]
fn mandelbrot_says_what_it_cannot_use() {
    let bad = [
        "--workers 0",
        "--workers 257",
        "--workers many",
        "--workers",
        "--size 64",
        "--size 0x48",
        "--size 64x48x3",
        "--size 64x8193",
        "--size -64x48",
        "--size 64x48 --size 64x48",
        "--output",
        "--colours 16",
        "picture.png",
    ];
    let mut commands = Vec::from(bad.map(mandelbrot));
    let mut no_text = mandelbrot("--workers 2");
    no_text.arg(OsStr::from_bytes(b"\xff"));
    commands.push(no_text);

    let (mut messages, mut help) = (String::new(), String::new());
    for command in commands {
        let message = failure(Program::start(command).wait(), "");
        let (first, rest) = message.split_once('\n').expect("several lines");
        messages = messages + first + "\n";
        assert!(help.is_empty() || help == rest, "not the help: {rest}");
        help = rest.to_owned();
    }
    assert_output!(exact(&(messages + &help)));
}

#[test]
fn mandelbrot_says_where_it_cannot_write() {
    let at_once = Program::start(mandelbrot("--output /")).wait();
    let full = "--workers 1 --size 1x1 --output /dev/full";
    let in_the_end = Program::start(mandelbrot(full)).wait();
    assert_output!(exact(
        &(failure(at_once, "") + &failure(in_the_end, "rayon"))
    ));
}

/// The message of a program that failed, after some work or before it.
fn failure(output: Output, work: &str) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        output.stdout.contains(work) && output.stdout.is_empty() == work.is_empty(),
        "{output:?}"
    );
    output.stderr
}

#[test]
fn ctrl_c_ends_mandelbrot() {
    let arguments = "--workers 2 --size 160x120 --output interrupted.png";
    interrupt_command(|| mandelbrot(arguments));
}

#[test]
fn a_broken_pipe_ends_mandelbrot() {
    let arguments = "--workers 2 --size 160x120 --output unread.png";
    into_broken_pipe_command(|| mandelbrot(arguments));
}
