//! Gives the fuzz targets something to start from: writes the recorded frames to `fuzz/corpus`.
#![allow(
    clippy::unwrap_used,
    reason = "a tool for developers, with nothing from outside"
)]

#[path = "../tests/golden/mod.rs"]
mod golden;

use std::{fs, path::Path};

use qi_grpc_gateway::qi::{
    value::{Type, codec::META_OBJECT_SIGNATURE},
    wire::{HEADER_BYTES, Writer},
};

fn main() {
    let scenarios = golden::scenarios();
    let records = scenarios.iter().flat_map(|scenario| &scenario.records);
    for (index, record) in records.enumerate() {
        let Some(frame) = &record.frame else {
            continue;
        };
        let name = format!("recorded-{index}");
        seed("header", &name, &record.bytes[..HEADER_BYTES]);
        seed("frame", &name, &record.bytes);
        let Some(signature) = &frame.signature else {
            continue;
        };
        seed("signature", &name, signature.as_bytes());
        let mut dynamic = Writer::new();
        dynamic.sized(signature.as_bytes()).unwrap();
        dynamic.raw(&frame.payload);
        seed("value", &name, dynamic.as_slice());
        let ty: Type = signature.parse().unwrap();
        if ty.to_string() == META_OBJECT_SIGNATURE {
            seed("meta_object", &name, &frame.payload);
        }
    }
}

fn seed(target: &str, name: &str, bytes: &[u8]) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let folder = corpus.join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}
