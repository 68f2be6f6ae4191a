//! Bytes that no honest peer sends: nothing panics, nothing allocates for what has not come, and
//! what can be read is written as it was.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod golden;
mod laws;

use std::thread;

use bytes::{BufMut as _, Bytes};
use qi_grpc_gateway::qi::{
    value::{
        Dynamic, ObjectEncoding, SignatureError, Type, Value,
        codec::{
            DecodeContext, DecodeError, Decoder, EncodeContext, EncodeError, META_OBJECT_SIGNATURE,
            decode, encode,
        },
    },
    wire::{FrameDecoder, FrameError, HEADER_BYTES, HeaderError, Limits, ReadError, Writer},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

/// How many mutants each decoder gets.
const CASES: usize = 20_000;

#[test]
fn mutated_headers() {
    let seeds = frames(|bytes| bytes[..HEADER_BYTES].to_vec());
    mutants(&seeds, 1, laws::header);
}

#[test]
fn mutated_frames() {
    let seeds = frames(<[u8]>::to_vec);
    mutants(&seeds, 2, laws::frame);
}

#[test]
fn mutated_signatures() {
    let seeds: Vec<Vec<u8>> = payloads().map(|known| known.0.to_string().into()).collect();
    mutants(&seeds, 3, laws::signature);
}

#[test]
fn mutated_values() {
    let known: Vec<_> = payloads().collect();
    let seeds: Vec<Vec<u8>> = known.iter().map(|known| known.1.to_vec()).collect();
    let types: Vec<_> = known.into_iter().map(|known| (known.0, known.2)).collect();
    let mut random = StdRng::seed_from_u64(4);
    let mut read = 0;
    for _ in 0..CASES {
        let index = random.random_range(0..seeds.len());
        let mutant = mutant(&seeds[index], &seeds, &mut random);
        let (ty, encoding) = &types[index];
        read += usize::from(laws::value(ty, &mutant, *encoding));
    }
    assert!((CASES / 20..CASES).contains(&read), "{read} could be read");
}

#[test]
fn mutated_dynamic_values() {
    let table = golden::table("values");
    let entries = ["values", "in_dynamic"].map(|name| table[name].as_array().unwrap().clone());
    let seeds: Vec<Vec<u8>> = entries
        .iter()
        .flatten()
        .filter(|entry| entry["signature"] == "m")
        .map(|entry| golden::bytes(&entry["payload_hex"]).to_vec())
        .collect();
    let value = |bytes: &[u8]| laws::value(&Type::Dynamic, bytes, ObjectEncoding::default());
    mutants(&seeds, 5, value);
}

#[test]
fn mutated_meta_objects() {
    let seeds: Vec<Vec<u8>> = payloads()
        .filter(|known| is_meta_object(&known.0))
        .map(|known| known.1.to_vec())
        .collect();
    mutants(&seeds, 6, laws::meta_object);
}

fn is_meta_object(ty: &Type) -> bool {
    ty.to_string() == META_OBJECT_SIGNATURE
}

/// Runs a law on many mutants. Some must be readable, some not, or nothing was tried.
fn mutants(seeds: &[Vec<u8>], seed: u64, law: impl Fn(&[u8]) -> bool) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut read = 0;
    for _ in 0..CASES {
        let original = seeds.choose(&mut random).unwrap();
        read += usize::from(law(&mutant(original, seeds, &mut random)));
    }
    assert!((CASES / 20..CASES).contains(&read), "{read} could be read");
}

fn mutant(original: &[u8], seeds: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..random.random_range(1..=3) {
        let at = random.random_range(0..=bytes.len());
        match random.random_range(0..6) {
            0 => bytes.truncate(at),
            1 => {
                let sizes = [0, 1, 0x7f, 0xffff, 0x7fff_ffff, 0xffff_fff0, u32::MAX];
                let size = sizes.choose(random).unwrap().to_le_bytes();
                let end = bytes.len().min(at + size.len());
                bytes[at..end].copy_from_slice(&size[..end - at]);
            }
            2 => {
                let other = seeds.choose(random).unwrap();
                let from = random.random_range(0..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            3 => bytes.insert(at, random.random()),
            4 if at < bytes.len() => {
                bytes.remove(at);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.random_range(0..8);
                }
            }
        }
    }
    bytes
}

fn frames(part: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Vec<u8>> {
    golden::scenarios()
        .iter()
        .flat_map(|scenario| &scenario.records)
        .filter(|record| record.frame.is_some())
        .map(|record| part(&record.bytes))
        .collect()
}

/// The recorded payloads of known type.
fn payloads() -> impl Iterator<Item = (Type, Bytes, ObjectEncoding)> {
    golden::scenarios().into_iter().flat_map(|scenario| {
        let connections = scenario.connections;
        scenario.records.into_iter().filter_map(move |record| {
            let frame = record.frame?;
            let ty = frame.signature?.parse().ok()?;
            Some((ty, frame.payload, connections[record.direction.connection]))
        })
    })
}

#[test]
fn streams_that_are_none() {
    let error = |bytes: &[u8]| {
        let mut decoder = FrameDecoder::new(Limits::default().payload_bytes);
        decoder.buffer().put_slice(bytes);
        let cut = decoder.next_message();
        assert!(decoder.buffer().capacity() < 2 * 1024 * 1024);
        cut.and_then(|message| {
            assert_eq!(message, None);
            decoder.end()
        })
    };
    let header = |size: u32| {
        let mut bytes = vec![0x42, 0xde, 0xad, 0x42, 1, 0, 0, 0];
        bytes.extend_from_slice(&size.to_le_bytes());
        bytes.resize(HEADER_BYTES, 0);
        bytes
    };
    let limit = Limits::default().payload_bytes;
    let found = *b"GET ";
    assert_eq!(
        error(b"GET / HTTP/1.1\r\nHost: robot\r\n\r\n"),
        Err(FrameError::Header(HeaderError::Magic { found }))
    );
    let size = u32::MAX;
    assert_eq!(
        error(&header(size)),
        Err(FrameError::TooLarge { size, limit })
    );
    let missing = limit as usize;
    assert_eq!(
        error(&header(limit)),
        Err(FrameError::Truncated { missing })
    );
    assert_eq!(
        error(&header(1)[..27]),
        Err(FrameError::Truncated { missing: 1 })
    );
    assert_eq!(error(b""), Ok(()));
}

#[test]
fn signatures_nested_ten_thousand_deep() {
    let limit = Limits::default().signature_depth;
    for open in ["[", "(", "{", "+", "#", "~", "{s", "(i", "[("] {
        let text = open.repeat(10_000);
        let ty = text.parse::<Type>();
        assert_eq!(ty, Err(SignatureError::TooDeep { limit }), "{open}");
        let error = decode(
            &Type::Dynamic,
            &dynamic(&text, &[]),
            DecodeContext::default(),
        );
        let source = SignatureError::TooDeep { limit };
        assert_eq!(error, Err(DecodeError::Signature { offset: 0, source }));
    }
    let brackets = format!("(i){}", "<".repeat(10_000));
    assert_eq!(brackets.parse::<Type>(), Err(SignatureError::Incomplete));
}

/// Types of every size, none included.
const ELEMENTS: [&str; 30] = [
    "v", "_", "X", "()", "(v)", "((())v)", "b", "c", "C", "w", "W", "i", "I", "l", "L", "f", "d",
    "s", "r", "m", "o", "[v]", "[i]", "{sv}", "{im}", "#i", "~i", "+v", "+i", "(sov[b])",
];

#[test]
fn containers_that_claim_four_billion_elements() {
    let before = memory_bytes();
    for element in ELEMENTS {
        for signature in [
            format!("[{element}]"),
            format!("#{element}"),
            format!("~{element}"),
            format!("{{v{element}}}"),
            format!("([[{element}]])"),
        ] {
            let ty: Type = signature.parse().unwrap();
            let mut payload = vec![1, 0, 0, 0];
            payload.extend_from_slice(&[0xff; 64]);
            let start = usize::from(!signature.starts_with('('));
            let payload = Bytes::from(payload).slice(start * 4..);
            refused_for_its_size(&ty, &payload);
            refused_for_its_size(&Type::Dynamic, &dynamic(&signature, &payload));
        }
    }
    let grown = memory_bytes() - before;
    assert!(grown < 32 * 1024 * 1024, "{grown} bytes more");
}

#[track_caller]
fn refused_for_its_size(ty: &Type, payload: &Bytes) {
    let error = decode(ty, payload, DecodeContext::default()).unwrap_err();
    let skipped = Decoder::new(payload, DecodeContext::default())
        .skip(ty)
        .unwrap_err();
    for error in [error, skipped] {
        assert!(
            matches!(
                error,
                DecodeError::Read(ReadError::Truncated { .. }) | DecodeError::TooManyEmpty { .. }
            ),
            "{ty}: {error}"
        );
    }
}

#[test]
fn elements_without_a_byte_are_counted() {
    let limit = Limits::default().empty_elements;
    for signature in ["[v]", "[()]", "[(v)]"] {
        let ty: Type = signature.parse().unwrap();
        let payload = |count: u32| Bytes::copy_from_slice(&count.to_le_bytes());
        let read = |count| decode(&ty, &payload(count), DecodeContext::default());
        assert!(matches!(read(limit), Ok(Value::List(items)) if items.len() == limit as usize));
        assert_eq!(read(limit + 1), Err(DecodeError::TooManyEmpty { limit }));
    }
    // Every element has a byte, and a thousand values beside it that have none.
    let ty: Type = format!("[(b{})]", "v".repeat(1000)).parse().unwrap();
    let mut payload = 60_000_u32.to_le_bytes().to_vec();
    payload.resize(60_004, 0);
    let payload = Bytes::from(payload);
    let error = Err(DecodeError::TooManyEmpty { limit });
    assert_eq!(
        Decoder::new(&payload, DecodeContext::default()).skip(&ty),
        error
    );
    let error = Err(DecodeError::TooManyEmpty { limit });
    assert_eq!(decode(&ty, &payload, DecodeContext::default()), error);
}

/// Working out the least size of the wide type for each empty list would take hours.
#[test]
fn empty_lists_do_not_pay_for_their_type() {
    let ty: Type = format!("[[({})]]", "i".repeat(60_000)).parse().unwrap();
    let count = 1_000_000_u32;
    let mut payload = count.to_le_bytes().to_vec();
    payload.resize(4 + 4 * count as usize, 0);
    let payload = Bytes::from(payload);
    assert_eq!(
        Decoder::new(&payload, DecodeContext::default()).skip(&ty),
        Ok(())
    );
}

/// Values take more memory than bytes: the largest payload would become gigabytes.
#[test]
fn the_number_of_values_is_bounded() {
    let limit = Limits::default().values;
    let count = Limits::default().payload_bytes - 4;
    let mut payload = count.to_le_bytes().to_vec();
    payload.resize(4 + count as usize, 0);
    let payload = Bytes::from(payload);
    let ty: Type = "[b]".parse().unwrap();
    let before = memory_bytes();
    let error = decode(&ty, &payload, DecodeContext::default());
    assert_eq!(error, Err(DecodeError::TooManyValues { limit }));
    let grown = memory_bytes() - before;
    assert!(grown < 256 * 1024 * 1024, "{grown} bytes more");

    let ty: Type = "[m]".parse().unwrap();
    let mut payload = vec![0xff, 0xff, 0xff, 0];
    while payload.len() < 20_000_000 {
        payload.extend_from_slice(&dynamic("((iiiiiiii)[i])", &[0; 36]));
    }
    let count = u32::try_from((payload.len() - 4) / 55).unwrap();
    payload[..4].copy_from_slice(&count.to_le_bytes());
    let error = decode(&ty, &Bytes::from(payload), DecodeContext::default());
    assert_eq!(error, Err(DecodeError::TooManyValues { limit }));
    let grown = memory_bytes() - before;
    assert!(grown < 384 * 1024 * 1024, "{grown} bytes more");
}

#[test]
fn dynamic_values_nested_ten_thousand_deep() {
    let limits = Limits::default();
    let limit = limits.dynamic_depth;
    let payload = Bytes::from(dynamic("m", &[]).repeat(10_000));
    let too_deep = DecodeError::DynamicsTooDeep { limit };
    on_a_small_stack(move || refused(&Type::Dynamic, &payload, &too_deep));

    let list = dynamic("[m]", &1_u32.to_le_bytes());
    let payload = Bytes::from(list.repeat(10_000));
    let limit = limits.value_depth;
    let too_deep = DecodeError::TooDeep { limit };
    on_a_small_stack(move || refused(&Type::Dynamic, &payload, &too_deep));

    // Deep types in deep dynamics: either alone is within its limit.
    let deep = format!("{}m{}", "(".repeat(60), ")".repeat(60));
    let payload = Bytes::from(dynamic(&deep, &[]).repeat(60));
    let too_deep = DecodeError::TooDeep { limit };
    on_a_small_stack(move || refused(&Type::Dynamic, &payload, &too_deep));
}

/// The deepest values that are accepted need no more stack than the limits promise.
#[test]
fn the_deepest_values_fit_onto_a_small_stack() {
    on_a_small_stack(|| {
        let deep = format!("{}m", "+".repeat(60));
        let mut payload = Vec::new();
        for _ in 0..2 {
            payload.extend_from_slice(&dynamic(&deep, &[1; 60]));
        }
        payload.extend_from_slice(&dynamic("i", &[7, 0, 0, 0]));
        assert!(laws::value(
            &Type::Dynamic,
            &payload,
            ObjectEncoding::default()
        ));
    });
}

fn refused(ty: &Type, payload: &Bytes, error: &DecodeError) {
    assert_eq!(
        decode(ty, payload, DecodeContext::default()).as_ref(),
        Err(error)
    );
    let skipped = Decoder::new(payload, DecodeContext::default()).skip(ty);
    assert_eq!(skipped.as_ref(), Err(error));
}

#[test]
fn values_too_deep_are_not_sent() {
    let ty: Type = "[m]".parse().unwrap();
    let mut value = Value::List(Vec::new());
    for _ in 0..200 {
        let dynamic = Dynamic::new(ty.clone().into(), value);
        value = Value::List(vec![Value::Dynamic(Box::new(dynamic))]);
    }
    let mut writer = Writer::new();
    let sent = encode(&value, &ty, &mut EncodeContext::default(), &mut writer);
    let limit = Limits::default().value_depth;
    assert_eq!(sent, Err(EncodeError::TooDeep { limit }));
    assert!(writer.is_empty());
}

fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(1024 * 1024).spawn(run);
    thread.unwrap().join().unwrap();
}

fn dynamic(signature: &str, value: &[u8]) -> Bytes {
    let mut writer = Writer::new();
    writer.sized(signature.as_bytes()).unwrap();
    writer.raw(value);
    writer.finish()
}

/// The most memory that this process ever had.
#[cfg(target_os = "linux")]
fn memory_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kibibytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes * 1024
}

/// Measured on Linux only.
#[cfg(not(target_os = "linux"))]
fn memory_bytes() -> usize {
    0
}
