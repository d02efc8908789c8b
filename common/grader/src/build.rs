//! Builds one program that lies anywhere, with the crates that the desk may use.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The crates, built.
#[derive(Debug)]
pub struct Crates {
    root: PathBuf,
    /// Name and file of each.
    externs: Vec<(String, PathBuf)>,
    /// Where theirs lie.
    dependencies: PathBuf,
}

#[derive(Deserialize)]
struct Artifact {
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

impl Crates {
    /// Lets cargo build what the desk depends on, and asks where it lies.
    ///
    /// # Errors
    /// It does not build.
    pub fn build(root: &Path) -> Result<Crates> {
        let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
        let mut command = Command::new(cargo);
        command.args(["build", "--package", "desk", "--lib", "--quiet", "--locked"]);
        command.args(["--message-format", "json"]);
        let output = command
            .current_dir(root)
            .output()
            .context("cannot run cargo")?;
        if !output.status.success() {
            bail!(
                "the library does not build:\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let mut externs = Vec::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let Ok(Artifact {
                target: Some(target),
                filenames,
            }) = serde_json::from_str(line)
            else {
                continue;
            };
            let is_library = |file: &PathBuf| file.extension().is_some_and(|it| it == "rlib");
            let wanted = ["anyhow", "common", "serde"].contains(&&*target.name);
            if let Some(file) = filenames.into_iter().find(is_library).filter(|_| wanted) {
                externs.push((target.name, file));
            }
        }
        let (_, first) = externs.first().context("cargo has built nothing")?;
        let dependencies = match first.parent() {
            Some(folder) if folder.ends_with("deps") => folder.to_owned(),
            Some(folder) => folder.join("deps"),
            None => bail!("cargo has built nothing"),
        };
        Ok(Crates {
            root: root.to_owned(),
            externs,
            dependencies,
        })
    }

    /// Builds a program. `Err` is what rustc says to the student.
    ///
    /// # Errors
    /// rustc cannot be run.
    pub fn compile(&self, source: &Path, program: &Path) -> Result<Result<(), String>> {
        let rustc = std::env::var_os("RUSTC").unwrap_or("rustc".into());
        let mut rustc = Command::new(rustc);
        rustc.args([
            "--cap-lints",
            "warn",
            "-C",
            "debuginfo=line-tables-only",
            "-o",
        ]);
        self.run(rustc.arg(program), source)
    }

    /// Lets clippy read a program, and write what it knows of it into a folder. `Err` is what it says.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn lint(&self, source: &Path, folder: &Path) -> Result<Result<(), String>> {
        let sysroot = Command::new("rustc")
            .args(["--print", "sysroot"])
            .output()?;
        let sysroot = String::from_utf8_lossy(&sysroot.stdout).trim().to_owned();
        let mut clippy = Command::new("clippy-driver");
        clippy.env("LD_LIBRARY_PATH", Path::new(&sysroot).join("lib"));
        clippy.args([
            "--sysroot",
            &sysroot,
            "-D",
            "warnings",
            "--emit",
            "metadata",
        ]);
        self.run(clippy.arg("--out-dir").arg(folder), source)
    }

    fn run(&self, compiler: &mut Command, source: &Path) -> Result<Result<(), String>> {
        compiler.args([
            "--edition",
            "2024",
            "--crate-name",
            "exercise",
            "--crate-type",
            "bin",
        ]);
        compiler.args(["--error-format", "human", "--color", "never"]);
        compiler
            .arg("-L")
            .arg(format!("dependency={}", self.dependencies.display()));
        for (name, file) in &self.externs {
            compiler
                .arg("--extern")
                .arg(format!("{name}={}", file.display()));
        }
        // The places that the program's messages name are then those that the student knows.
        let shown = source.strip_prefix(&self.root).unwrap_or(source);
        let output = compiler.arg(shown).current_dir(&self.root).output();
        let output = output.with_context(|| format!("cannot run {:?}", compiler.get_program()))?;
        Ok(match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        })
    }
}
