//! Compiles the static API in `proto/` to Rust, with protox: no protoc is needed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const PROTOS: [&str; 7] = [
    "qi/gateway/v1/value.proto",
    "qi/gateway/v1/event.proto",
    "qi/gateway/v1/options.proto",
    "qi/gateway/v1/dynamic.proto",
    "qi/gateway/v1/object.proto",
    "qi/gateway/v1/directory.proto",
    "qi/gateway/v1/hosting.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(PROTOS)?;

    // The encoded form keeps what prost-types drops: custom options and their extensions.
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(
        out.join("static_api.bin"),
        compiler.encode_file_descriptor_set(),
    )?;

    let mut set = compiler.file_descriptor_set();
    set.file
        .retain(|file| file.name() != "google/protobuf/descriptor.proto");
    debug_assert!(set.encoded_len() > 0);
    tonic_prost_build::configure()
        .bytes(".qi.gateway.v1")
        .build_client(false)
        .compile_fds(set)?;
    Ok(())
}
