//! A part of the program in a process of its own, which the parent starts here or somebody
//! elsewhere.

use std::env;
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cluster::{Cluster, PARENT};

/// A part of the program. **Dropping** it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    /// Nobody, when it runs elsewhere.
    child: Option<Child>,
}

impl Cluster {
    /// In the parent: starts this program once more, as the part of this name. In that part: does
    /// what is to be done, and ends the process.
    ///
    /// # Errors
    /// The process cannot be started.
    pub fn process(&self, name: &str, work: impl FnOnce() -> Result<()>) -> Result<Process> {
        if self.options().role.as_deref() == Some(name) {
            self.say_alive(name);
            end(name, work().and_then(|()| self.say_goodbye(name)));
        }
        let here = self.options().role.is_none() && !self.options().elsewhere;
        let child = here.then(|| self.start(name)).transpose()?;
        Ok(Process {
            name: name.to_owned(),
            child,
        })
    }

    pub(crate) fn start(&self, role: &str) -> Result<Child> {
        let program = env::current_exe().context("the program's name is not known")?;
        let mut command = Command::new(program);
        command
            .args(env::args_os().skip(1))
            .args(["--role", role])
            .env("CLUSTER_SERVER", self.url()) // other users can read arguments
            .env(PARENT, process::id().to_string())
            .stdin(Stdio::null());
        command
            .spawn()
            .with_context(|| format!("cannot start {role}"))
    }
}

/// Ends this process, and says why if that is an error.
pub(crate) fn end(name: &str, done: Result<()>) -> ! {
    if let Err(error) = &done {
        eprintln!("{name}: {error:#}");
    }
    process::exit(i32::from(done.is_err()));
}

impl Process {
    /// How it has ended; nothing when it runs still, or elsewhere.
    ///
    /// # Errors
    /// The system's.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        match &mut self.child {
            Some(child) => Ok(child.try_wait()?),
            None => Ok(None),
        }
    }

    /// Waits for its end. Of one that runs elsewhere nobody here can know it.
    ///
    /// # Errors
    /// It has failed.
    pub fn join(&mut self) -> Result<()> {
        self.wait()?;
        self.check()
    }

    /// Sends it a signal, if it is here.
    ///
    /// # Errors
    /// The system's.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if let Some(child) = &self.child {
            kill(Pid::from_raw(child.id().try_into()?), signal)?;
        }
        Ok(())
    }

    /// Starts it again if a signal has ended it. Whether it was so.
    pub(crate) fn revive(&mut self, cluster: &Cluster) -> Result<bool> {
        let killed = |status: ExitStatus| status.signal().is_some();
        if self.ended()?.is_some_and(killed) {
            self.start_again(cluster)?;
            return Ok(true);
        }
        self.check()?;
        Ok(false)
    }

    /// Waits for its end, however that is.
    pub(crate) fn wait(&mut self) -> Result<()> {
        if let Some(child) = &mut self.child {
            child.wait()?;
        }
        Ok(())
    }

    pub(crate) fn start_again(&mut self, cluster: &Cluster) -> Result<()> {
        self.child = Some(cluster.start(&self.name)?);
        Ok(())
    }

    /// Fails if it has failed.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.ended()? {
            Some(status) if !status.success() => bail!("{} failed: {status}", self.name),
            _ => Ok(()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
