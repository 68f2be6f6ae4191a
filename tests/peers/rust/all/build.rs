//! Compiles every .proto file of the folder `api` beside the crate.

use std::{
    env,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
};

const API: &str = "../api";

/// Services of the robot, of whose methods a compiler has enough with the clients: servers for all of them
/// take several times as long and tell no more than servers for the others do.
const CLIENTS_ONLY: &str = "al_";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={API}");
    let mut files = Vec::new();
    collect(Path::new(API), &mut files)?;
    let (clients, both): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| {
        let name = file.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(CLIENTS_ONLY))
    });
    generate("clients", clients, false)?;
    generate("both", both, true)
}

fn generate(name: &str, files: Vec<PathBuf>, server: bool) -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?).join(name);
    fs::create_dir_all(&out)?;
    tonic_prost_build::configure()
        .build_server(server)
        .out_dir(out)
        .include_file("api.rs")
        .compile_fds(protox::compile(files, [API])?)?;
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
