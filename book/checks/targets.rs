//! What cargo builds of the workspace.

use std::path::Path;
use std::process::Command;
use std::{env, io};

use serde_json::Value;

/// What cargo builds of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Its package.
    pub package: String,
    /// `bin`, `example`, `test`, `bench` or `lib`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its first file, from the root of the workspace.
    pub file: String,
}

impl Target {
    /// Whether a file is one of those of this program.
    pub fn holds(&self, file: &str) -> bool {
        let folder = self.file.strip_suffix("main.rs");
        match &*self.kind {
            "bin" => file == self.file,
            "example" => file == self.file || folder.is_some_and(|folder| file.starts_with(folder)),
            _ => false,
        }
    }
}

/// The packages of the workspace with what is in them.
pub fn targets(root: &Path) -> io::Result<Vec<Target>> {
    let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(root)
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr)));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let list = |value: &Value, name| value[name].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let above = format!("{}/", text(&metadata["workspace_root"]));
    let mut targets = Vec::new();
    for package in list(&metadata, "packages") {
        for target in list(&package, "targets") {
            let file = text(&target["src_path"]);
            targets.push(Target {
                package: text(&package["name"]),
                kind: text(&target["kind"][0]),
                name: text(&target["name"]),
                file: file.strip_prefix(&above).unwrap_or(&file).to_owned(),
            });
        }
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_holds_its_files() {
        let target = |kind: &str, file: &str| Target {
            package: "a".to_owned(),
            kind: kind.to_owned(),
            name: "b".to_owned(),
            file: file.to_owned(),
        };
        assert!(target("bin", "01-a/src/main.rs").holds("01-a/src/main.rs"));
        let example = target("example", "01-a/examples/b/main.rs");
        assert!(example.holds("01-a/examples/b/part.rs"));
        assert!(!example.holds("01-a/examples/c.rs"));
        assert!(!target("lib", "b/src/lib.rs").holds("b/src/lib.rs"));
    }
}
