//! Compiles every .proto file of the folder `api` beside the crate.

use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
};

const API: &str = "../api";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={API}");
    let mut files = Vec::new();
    collect(Path::new(API), &mut files)?;
    let set = protox::compile(files, [API])?;
    tonic_prost_build::configure()
        .include_file("api.rs")
        .compile_fds(set)?;
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
