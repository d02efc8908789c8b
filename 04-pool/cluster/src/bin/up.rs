//! A server for trying out, until Ctrl-C; or a look at one that runs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;

use anyhow::{Result, ensure};
use clap::Parser;
use cluster::{Cluster, Listen, Options, Server};

/// Starts a server of NATS, in a folder of its own and with a password of its own, until Ctrl-C.
#[derive(Parser)]
struct Arguments {
    /// Where it listens; beyond this machine only with a certificate
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Its certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// The certificate's key, as PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

fn main() -> Result<()> {
    common::end_on_broken_pipe();
    let arguments = Arguments::parse();
    if arguments.options.server.is_some() {
        let cluster = Cluster::join(arguments.options)?;
        println!("{}", cluster.server_line());
        return Ok(());
    }
    ensure!(
        arguments.listen.ip().is_loopback() || arguments.certificate.is_some(),
        "beyond this machine the password would go in the clear: --certificate FILE --key FILE"
    );
    let secret = arguments.certificate.is_some();
    let server = Server::start(&Listen {
        address: arguments.listen,
        tls: arguments.certificate.zip(arguments.key),
    })?;
    println!("A server runs until Ctrl-C. In another terminal:");
    println!("  export CLUSTER_SERVER={}", server.url());
    match secret {
        true => println!("  cargo run --bin pool -- --ca FILE # who has signed the certificate"),
        false => println!("  cargo run --bin pool"),
    }
    loop {
        thread::park();
    }
}
