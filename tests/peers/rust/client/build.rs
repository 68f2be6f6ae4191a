//! Compiles the services that are called.

use std::error::Error;

const API: &str = "../api";

const SERVICES: [&str; 3] = ["al_memory", "al_text_to_speech", "knowledge"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={API}");
    let mut compiler = protox::Compiler::new([API])?;
    compiler.include_imports(true);
    compiler.open_files(SERVICES.map(|name| format!("qi/{name}/v1/{name}.proto")))?;
    tonic_prost_build::configure()
        .build_server(false)
        .include_file("api.rs")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
