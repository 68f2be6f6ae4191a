#![no_main]

#[path = "../../tests/laws/mod.rs"]
mod laws;

use qi_grpc_gateway::qi::value::{ObjectEncoding, Type};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // A dynamic value brings its type along.
    laws::value(&Type::Dynamic, data, ObjectEncoding::default());
});
