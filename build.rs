//! Names the build by its sources, so that what one build compiled is nothing to another.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// What a policy's compiled form depends on.
const MADE_OF: [&str; 4] = ["src", "policies", "Cargo.toml", "Cargo.lock"];

fn main() -> io::Result<()> {
    let mut files = BTreeSet::new();
    for path in MADE_OF {
        println!("cargo::rerun-if-changed={path}");
        find(Path::new(path), &mut files)?;
    }
    let mut hasher = DefaultHasher::new();
    for file in files {
        (&file, fs::read(&file)?).hash(&mut hasher);
    }
    println!("cargo::rustc-env=MCP_GATE_BUILD={:016x}", hasher.finish());
    Ok(())
}

/// Adds the files at and under a path.
fn find(path: &Path, files: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.insert(path.to_owned());
        return Ok(());
    }
    fs::read_dir(path)?.try_for_each(|entry| find(&entry?.path(), files))
}
