//! Names the build by its sources, so that what one build compiled is nothing to another.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// What a policy's compiled form depends on.
const MADE_OF: [&str; 4] = ["src", "policies", "Cargo.toml", "Cargo.lock"];

fn main() -> io::Result<()> {
    MADE_OF.iter().for_each(|path| println!("cargo::rerun-if-changed={path}"));
    println!("cargo::rustc-env=MCP_GATE_BUILD={}", name(Path::new("."))?);
    Ok(())
}

/// The name of the build whose package is here.
pub(crate) fn name(package: &Path) -> io::Result<String> {
    let mut files = BTreeSet::new();
    MADE_OF.iter().try_for_each(|path| find(&package.join(path), &mut files))?;
    let mut hasher = DefaultHasher::new();
    for file in files {
        let path = file.strip_prefix(package).unwrap_or(&file);
        (path, fs::read(&file)?).hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// Adds the files at and under a path.
fn find(path: &Path, files: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.insert(path.to_owned());
        return Ok(());
    }
    fs::read_dir(path)?.try_for_each(|entry| find(&entry?.path(), files))
}
