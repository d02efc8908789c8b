//! Draws the book's timelines anew, each from a run of its program: `cargo run --bin pictures`.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use onlookers::run::Run;
use onlookers::view::{Choice, View};
use onlookers::{drawing, words};

/// Draws the book's timelines anew, or only those that are named.
#[derive(Parser)]
struct Options {
    /// lost-update, lock-order, and so on: all of them are in book/src/timelines.
    names: Vec<String>,
}

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../book/src/timelines");

struct Picture {
    name: &'static str,
    title: &'static str,
    /// What `cargo run` is told, as on the page.
    program: &'static [&'static str],
    /// Whether its processes are delayed a little, so that they meet more often.
    chaos: bool,
    /// Whether it hangs, and has to be ended when nothing moves any more.
    hangs: bool,
    choice: fn() -> Choice,
}

const PICTURES: [Picture; 7] = [
    Picture {
        name: "lost-update",
        title: "Two processes read the same number, and both write the same sum",
        program: &["-p", "callback", "--example", "lost_update"],
        chaos: false,
        hangs: false,
        choice: || Choice {
            hidden: vec!["pipe".into()],
            skip: Some(0),
            steps: 25,
            ..Choice::default()
        },
    },
    Picture {
        name: "lock-order",
        title: "Two processes hold a lock each, and each waits for the other's",
        program: &["-p", "callback", "--example", "lock_order"],
        chaos: false,
        hangs: false,
        choice: || Choice {
            hidden: vec!["pipe".into()],
            ..Choice::default()
        },
    },
    Picture {
        name: "queue",
        title: "Two producers and two consumers take turns at a lock and a queue",
        program: &["--bin", "02-queue"],
        chaos: true,
        hangs: false,
        choice: || Choice {
            steps: 44,
            ..Choice::default()
        },
    },
    Picture {
        name: "pool",
        title: "Four workers take turns at a lock that a manager owns",
        program: &["--bin", "04-pool"],
        chaos: false,
        hangs: false,
        choice: || Choice {
            skip: Some(0),
            steps: 56,
            ..Choice::default()
        },
    },
    Picture {
        name: "killed-worker",
        title: "A worker is killed in the middle of a task, and another one takes its place",
        program: &["-p", "pool", "--example", "killed_worker"],
        chaos: false,
        hangs: false,
        choice: Choice::default,
    },
    Picture {
        name: "shop",
        title: "A clerk waits for an order, and a guest for the lock that the clerk holds",
        program: &["-p", "onlookers", "--example", "shop"],
        chaos: false,
        hangs: true,
        choice: Choice::default,
    },
    Picture {
        name: "mandelbrot",
        title: "Four workers paint rows that take unequally long",
        program: &[
            "-p",
            "pool",
            "--example",
            "mandelbrot",
            "--",
            "--workers=4",
            "--size=4096x24",
        ],
        chaos: false,
        hangs: false,
        choice: || Choice {
            steps: usize::MAX,
            until: Some("pool".into()),
            is_to_scale: true,
            ..Choice::default()
        },
    },
];

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let names = Options::parse().names;
    for name in &names {
        let all = PICTURES.map(|picture| picture.name).join(", ");
        let is_known = PICTURES.iter().any(|picture| picture.name == name);
        ensure!(is_known, "there is no picture {name:?}, but {all}");
    }
    let is_wanted = |it: &&Picture| names.is_empty() || names.iter().any(|name| name == it.name);
    PICTURES
        .iter()
        .filter(is_wanted)
        .try_for_each(|it| draw(it).context(it.name))
}

fn draw(picture: &Picture) -> Result<()> {
    let mut program = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    program.args(["run", "--quiet"]).args(picture.program);
    if picture.chaos {
        program.env("MP_CHAOS", "1");
    }
    program.stdout(Stdio::null());
    let run = match picture.hangs {
        true => Run::until_still(program)?,
        false => {
            let (status, run) = Run::record(program, |mut program| program.status())?;
            let status = status?;
            ensure!(status.success(), "its program: {status}");
            run
        }
    };
    let choice = (picture.choice)();
    let write = |ending: &str, content: &str| {
        let path = Path::new(DIRECTORY)
            .join(picture.name)
            .with_extension(ending);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    };
    write(
        "svg",
        &drawing::draw(&run, &choice, picture.name, picture.title),
    )?;
    let mut list = String::new();
    for sentence in words::all(&View::of(&run, &choice)) {
        writeln!(list, "1. {sentence}")?;
    }
    write("md", &list)?;
    println!("{}", picture.name);
    Ok(())
}
