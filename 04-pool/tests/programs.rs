//! What the chapter's programs print.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::BufReader;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use testing::{
    Claim, Output, Program, any_order_then, assert_output, exact, example, interrupt,
    interrupt_command, masked, run,
};

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

/// The same for processes and threads.
fn four_tasks(program: &Path) -> Claim {
    let output = run(program).success();
    let end = values_after("Shared variable value: ", &output);
    assert!(
        values_after("result: ", &output)
            .iter()
            .any(|result| end == [*result]),
        "the task with the last subtraction reads what is left in the end:\n{output}"
    );
    results_masked(1, &output)
}

#[test]
fn main_program() {
    assert_output!(four_tasks(env!("CARGO_BIN_EXE_04-pool").as_ref()));
}

#[test]
fn threads() {
    assert_output!(four_tasks(&example("threads")));
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
    assert_output!(masked(
        "worker process ",
        "[pid]",
        run(example("killed_worker")).success()
    ));
}

#[test]
fn ctrl_c_ends_them() {
    interrupt(env!("CARGO_BIN_EXE_04-pool"));
    interrupt(example("error_callback"));
    interrupt(example("threads"));
    interrupt(example("killed_worker"));
}

fn mandelbrot<T: AsRef<OsStr>>(arguments: &[T]) -> Command {
    let mut command = Command::new(example("mandelbrot"));
    // Errors are shown without the place where they were made.
    command
        .args(arguments)
        .env_remove("RUST_BACKTRACE")
        .env_remove("RUST_LIB_BACKTRACE");
    command
}

/// The path of a file that is removed when this is dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        Temporary(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("Cargo's path is UTF-8")
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

const WIDTH: usize = 64;
const HEIGHT: usize = 48;

/// The pixels of a PNG, whose size must be this.
fn pixels(path: &Path) -> Vec<[u8; 3]> {
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
    let picture = Temporary::new("mandelbrot.png");
    let arguments = [
        "--workers",
        "2",
        "--size",
        "64x48",
        "--output",
        picture.path(),
    ];
    let output = Program::start(mandelbrot(&arguments)).wait().success();

    let pixels = pixels(&picture.0);
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

    // One worker may be done before the other one begins.
    let (workers, others): (Vec<_>, Vec<_>) = output
        .split_inclusive('\n')
        .partition(|line| line.starts_with("  worker "));
    let numbers = workers
        .iter()
        .filter_map(|line| line.split_whitespace().nth(2)?.parse::<usize>().ok());
    assert!((1..=2).contains(&workers.len()), "{output}");
    assert_eq!(
        numbers.sum::<usize>(),
        HEIGHT,
        "each row was done once: {output}"
    );
    let output = others.concat();
    let output = masked("processes: ", "[time]", output);
    let output = masked("rayon: ", "[time]", output);
    let output = masked("[time], ", "[ratio]", output);
    let output = masked("process: ", "[time]", output);
    assert_output!(masked("the same: ", "[path]", output));
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
        "--output",
        "--colours 16",
        "picture.png",
    ];
    let mut bad: Vec<Vec<_>> = bad
        .map(|line| line.split(' ').map(OsString::from).collect())
        .into();
    bad.push(vec![OsString::from_vec(vec![0xff])]); // no UTF-8
    let (mut messages, mut usage) = (String::new(), String::new());
    for arguments in bad {
        let message = failure(Program::start(mandelbrot(&arguments)).wait(), "");
        let (first, rest) = message.split_once('\n').expect("several lines");
        messages = messages + first + "\n";
        assert!(
            usage.is_empty() || usage == rest,
            "the same for all: {rest}"
        );
        usage = rest.to_owned();
    }
    assert_output!(exact(&(messages + &usage)));
}

#[test]
fn mandelbrot_says_where_it_cannot_write() {
    let at_once = Program::start(mandelbrot(&["--output", "/"])).wait();
    let full = ["--workers", "1", "--size", "1x1", "--output", "/dev/full"];
    let in_the_end = Program::start(mandelbrot(&full)).wait();
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
    let picture = Temporary::new("interrupted.png");
    let arguments = [
        "--workers",
        "2",
        "--size",
        "160x120",
        "--output",
        picture.path(),
    ];
    interrupt_command(|| mandelbrot(&arguments));
}
