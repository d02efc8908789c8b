//! What a task costs that goes over a server on this machine, beside one of the pool's.
//!
//!     cargo bench --bench costs [-- --write]
//!
//! With `--write` the figures and the chart go into the book.

use std::fs;
use std::hint::spin_loop;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result};
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::stream::{self, RetentionPolicy};
use async_nats::jetstream::{self, AckKind};
use async_nats::{ConnectOptions, ServerAddr};
use benchmarks::chart::{Decades, FONT, Mark, Svg, WIDTH, width};
use benchmarks::markdown::{self, Figures};
use benchmarks::numbers::{count_in_words, time, without_zeros};
use benchmarks::{machine, record};
use clap::Parser;
use cluster::{Cluster, Listen, Options, Server};
use futures_util::StreamExt;
use tokio::runtime::Builder;

const WORKERS: usize = 2;
/// How long the tasks of the chart compute, in microseconds.
const LENGTHS: [u64; 5] = [10, 100, 1000, 10_000, 100_000];
const ROUNDS: usize = 5;

#[derive(Parser)]
struct Arguments {
    /// Into the book
    #[arg(long)]
    write: bool,
    /// What `cargo bench` says
    #[arg(long, hide = true)]
    bench: bool,
    #[command(flatten)]
    options: Options,
}

/// Computes for so many microseconds.
fn task(micros: u64) -> Result<u64> {
    let (start, length) = (Instant::now(), Duration::from_micros(micros));
    while start.elapsed() < length {
        spin_loop();
    }
    Ok(micros)
}

/// What a way costs, in seconds.
#[derive(Debug)]
struct Costs {
    /// One task, alone, there and back.
    alone: f64,
    /// A task among many that wait, for each of the lengths.
    among: Vec<f64>,
    /// One item through the queue, from one process to another.
    item: f64,
    /// One change of a shared value, alone.
    change: f64,
}

fn median(mut round: impl FnMut() -> Result<f64>) -> Result<f64> {
    let mut all = Vec::new();
    for _ in 0..=ROUNDS {
        all.push(round()?);
    }
    // The first one warms up.
    record::median(&all[1..]).context("no round")
}

/// Seconds each.
fn each(times: u32, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64() / f64::from(times))
}

/// So many tasks of a length take about half a second.
fn many(micros: u64) -> u32 {
    (1_000_000 / (micros + 300)) as u32
}

fn ours() -> Result<Costs> {
    let pool = common::Pool::new(WORKERS, task)?;
    let alone = median(|| {
        each(1000, || {
            (0..1000).try_for_each(|_| Ok(pool.apply_async(&0).get().map(|_| ())?))
        })
    })?;
    let mut among = Vec::new();
    for length in LENGTHS {
        let tasks = many(length);
        among.push(median(|| {
            each(tasks, || {
                pool.map((0..tasks).map(|_| length)).map(|_| Ok(()))?
            })
        })?);
    }
    pool.join()?;

    const ITEMS: u32 = 100_000;
    let item = median(|| {
        let queue = common::Queue::<u32>::new()?;
        each(ITEMS, || {
            let take = || queue.iter().try_for_each(|item| item.map(drop));
            let mut consumer = common::Process::spawn("consumer", take)?;
            (0..ITEMS).try_for_each(|item| queue.put(&item))?;
            queue.close();
            consumer.join()?;
            Ok(())
        })
    })?;

    let value = common::Value::new(0_u32)?;
    let change = median(|| {
        each(ITEMS, || {
            for _ in 0..ITEMS {
                *value.lock()? += 1;
            }
            Ok(())
        })
    })?;
    Ok(Costs {
        alone,
        among,
        item,
        change,
    })
}

fn over_nats(cluster: &Cluster) -> Result<Costs> {
    const ITEMS: u32 = 2000;
    let queue = cluster.queue::<u32>(1000, 1)?;
    let consumer = cluster.process("consumer", || {
        for item in queue.iter()? {
            item?.count("consumer")?;
        }
        Ok(())
    })?;
    let value = cluster.value("value", 0_u32)?;
    let mut pool = cluster.pool(WORKERS, task)?;

    let change = median(|| {
        each(1000, || {
            (0..1000).try_for_each(|_| value.update(|value| value + 1).map(|_| ()))
        })
    })?;
    let alone = median(|| {
        each(500, || {
            for _ in 0..500 {
                pool.apply_async(&0)?;
                pool.join()?;
            }
            Ok(())
        })
    })?;
    let mut among = Vec::new();
    for length in LENGTHS {
        let tasks = many(length);
        among.push(median(|| {
            each(tasks, || {
                for _ in 0..tasks {
                    pool.apply_async(&length)?;
                }
                pool.join()
            })
        })?);
    }
    // Once, since a queue ends once.
    let item = each(ITEMS, || {
        for item in 0..ITEMS {
            queue.put(&item.to_string(), &item)?;
        }
        queue.end("producer")?;
        queue.join(&mut [consumer])?;
        Ok(())
    })?;
    Ok(Costs {
        alone,
        among,
        item,
        change,
    })
}

/// How many messages "in progress" a server takes in a second, from one connection.
fn in_progress() -> Result<f64> {
    const MESSAGES: u32 = 200_000;
    let server = Server::start(&Listen::default())?;
    let threads = Builder::new_multi_thread().enable_all().build()?;
    threads.block_on(async {
        let address: ServerAddr = server.url().parse()?;
        let (user, password) = (address.username(), address.password());
        let [user, password] = [user, password].map(|it| it.unwrap_or_default().to_owned());
        let options = ConnectOptions::with_user_and_password(user, password);
        let jetstream = jetstream::new(options.connect(address).await?);
        let tasks = stream::Config {
            name: "tasks".to_owned(),
            retention: RetentionPolicy::WorkQueue,
            ..stream::Config::default()
        };
        let tasks = jetstream.create_stream(tasks).await?;
        let takers = tasks.create_consumer(pull::Config::default()).await?;
        jetstream.publish("tasks", "one".into()).await?.await?;
        let mut given = takers.messages().await?;
        let message = given.next().await.context("no task")?;
        let message = message?;
        let start = Instant::now();
        for _ in 0..MESSAGES {
            let said = message.ack_with(AckKind::Progress).await;
            said.map_err(Error::from_boxed)?;
        }
        // Answered when all before it are dealt with.
        let said = message.double_ack().await;
        said.map_err(Error::from_boxed)?;
        Ok(f64::from(MESSAGES) / start.elapsed().as_secs_f64())
    })
}

fn table(ours: &Costs, nats: &Costs) -> String {
    let head = ["", "here", "over NATS"].map(str::to_owned).to_vec();
    let row = |what: &str, ours: f64, nats: f64| {
        let cell = |seconds| time(seconds).replace(' ', "&nbsp;");
        vec![what.to_owned(), cell(ours), cell(nats)]
    };
    markdown::table(&[
        head,
        row("a task there and back, alone", ours.alone, nats.alone),
        row(
            "a task of 10 µs, among many, on two workers",
            ours.among[0],
            nats.among[0],
        ),
        row("an item through a queue, counted", ours.item, nats.item),
        row(
            "a change of a shared value, alone",
            ours.change,
            nats.change,
        ),
    ])
}

/// For the text of the page.
fn figures(ours: &Costs, nats: &Costs, in_progress: f64) -> String {
    /// Of each of a thousand hosts.
    const CORES: f64 = 32.0;
    let (short, long) = (nats.among[0], LENGTHS.len() - 2);
    let mut figures = Figures::default();
    figures.add("alone-ours", &time(ours.alone));
    figures.add("alone-nats", &time(nats.alone));
    figures.add("short-nats", &time(short));
    figures.add("long-ours", &time(ours.among[long]));
    figures.add("long-nats", &time(nats.among[long]));
    figures.add("rate", &format!("{:.0}", 1.0 / short));
    figures.add("in-progress", &count_in_words(in_progress));
    figures.add("hosts-length", &format!("{:.0} s", 1000.0 * CORES * short));
    figures.0
}

fn picture(ours: &Costs, nats: &Costs) -> Option<String> {
    let (left, right, top, bottom) = (70.0, WIDTH - 32.0, 45.0, 300.0);
    let lengths = LENGTHS.map(|micros| micros as f64 / 1e6);
    let x = Decades::new(lengths.into_iter(), left, right)?;
    let all = ours.among.iter().chain(&nats.among).copied();
    let y = Decades::new(all, bottom, top)?;
    let mut svg = Svg::new(
        "cluster",
        bottom + 3.2 * FONT,
        "What a task takes on two workers, by what it computes",
        "Two curves that meet where tasks take milliseconds: the pool here below, NATS above.",
    );
    let round = |tick| without_zeros(&time(tick));
    for tick in y.ticks() {
        svg.line((left, y.at(tick)), (right, y.at(tick)), 0.2);
        svg.label(left - 6.0, y.at(tick) + FONT / 3.0, "end", &round(tick));
    }
    for tick in x.ticks() {
        svg.line((x.at(tick), bottom), (x.at(tick), bottom + 5.0), 0.6);
        svg.label(x.at(tick), bottom + 1.4 * FONT, "middle", &round(tick));
    }
    let middle = f64::midpoint(left, right);
    svg.label(
        middle,
        bottom + 2.7 * FONT,
        "middle",
        "a task computes for so long",
    );
    let mut at = left;
    for (mark, name) in [(Mark::Ours, "the pool here"), (Mark::Crate, "over NATS")] {
        svg.mark(mark, at + 5.0, 15.0);
        svg.label(at + 18.0, 15.0 + FONT / 3.0, "start", name);
        at += width(name) + 45.0;
    }
    for (mark, costs) in [(Mark::Crate, nats), (Mark::Ours, ours)] {
        let points = lengths.iter().zip(&costs.among);
        let points: Vec<_> = points
            .map(|(length, cost)| (x.at(*length), y.at(*cost)))
            .collect();
        svg.curve(mark, &points);
    }
    Some(svg.finish())
}

fn machine(cluster: &Cluster) -> Result<String> {
    let machine = machine::this()?;
    Ok(format!(
        "Measured on {} cores of an `{}`, with Linux {}, {} and nats-server {} on the same \
         machine; medians of {ROUNDS} rounds, and one round for the queue over NATS.\n",
        machine.cores,
        machine.cpu,
        machine.kernel,
        machine.rustc.split(" (").next().unwrap_or_default(),
        cluster.server_version(),
    ))
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // Before there is a thread: it forks.
    let ours = match arguments.options.role {
        None => Some(ours()?),
        Some(_) => None,
    };
    let cluster = Cluster::join(arguments.options)?;
    let nats = over_nats(&cluster)?;
    let ours = ours.context("only the parent comes here")?;

    let table = table(&ours, &nats);
    println!("{}\n{table}", machine(&cluster)?);
    println!("computes   here   over NATS");
    for (at, length) in LENGTHS.into_iter().enumerate() {
        let times = [length as f64 / 1e6, ours.among[at], nats.among[at]].map(time);
        println!("{}", times.join("   "));
    }
    let in_progress = median(in_progress)?;
    println!(
        "\n{} messages \"in progress\" a second",
        count_in_words(in_progress)
    );
    if arguments.write {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../book/src/measured");
        fs::write(folder.join("cluster-machine.md"), machine(&cluster)?)?;
        fs::write(folder.join("cluster.md"), table)?;
        fs::write(
            folder.join("cluster-figures.txt"),
            figures(&ours, &nats, in_progress),
        )?;
        let picture = picture(&ours, &nats).context("nothing to draw")?;
        fs::write(folder.join("cluster.svg"), picture)?;
    }
    cluster.end()
}
