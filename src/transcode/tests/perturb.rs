//! Other bytes for the same message: what protobuf allows and encoders seldom do.
//!
//! Names nothing that only the library sees: `tests/robot_transcode.rs` includes this file as well.

use prost::{
    bytes::Buf as _,
    encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint},
};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::generate::Source;

/// A field as it stands in the message: its number, and its bytes with the tag.
type Record = (u32, Vec<u8>);

/// Shuffles fields, splits and unpacks lists, splits messages, repeats what is singular, adds
/// what is unknown.
pub(super) fn perturb(ty: &MessageDescriptor, message: &[u8], source: &mut Source<'_>) -> Vec<u8> {
    let mut records: Vec<Record> = Vec::new();
    for (number, wire_type, content) in parse(message) {
        let field = ty
            .get_field(number)
            .expect("an encoder writes known fields");
        field_records(&field, wire_type, &content, source, &mut records);
    }
    for number in 0..source.below(4) {
        records.push(unknown(2000 + number as u32, source));
    }
    shuffle(records, source)
}

fn field_records(
    field: &FieldDescriptor,
    wire_type: WireType,
    content: &[u8],
    source: &mut Source<'_>,
    records: &mut Vec<Record>,
) {
    let number = field.number();
    let mut push = |wire_type, content: &[u8]| {
        records.push((number, record(number, wire_type, content)));
    };
    match field.kind() {
        Kind::Message(inner) => {
            let content = perturb(&inner, content, source);
            if field.is_list() || field.is_map() || !source.chance(3) {
                push(wire_type, &content);
                return;
            }
            // In two parts, cut between two fields, which a reader has to merge.
            let parts = parse(&content);
            let cut = source.below(parts.len() + 1);
            for part in [&parts[..cut], &parts[cut..]] {
                let bytes: Vec<u8> = part
                    .iter()
                    .flat_map(|(number, wire_type, content)| record(*number, *wire_type, content))
                    .collect();
                push(WireType::LengthDelimited, &bytes);
            }
        }
        _ if field.is_packed() && wire_type == WireType::LengthDelimited => {
            for (wire_type, piece) in packed_pieces(&field.kind(), content, source) {
                push(wire_type, &piece);
            }
        }
        kind => {
            if !field.is_list() && source.chance(3) {
                let decoy: &[u8] = match kind {
                    Kind::String | Kind::Bytes => b"decoy",
                    Kind::Float => &[1; 4],
                    Kind::Double => &[1; 8],
                    _ => &[1],
                };
                push(wire_type, decoy);
            }
            push(wire_type, content);
        }
    }
}

/// Packed numbers in some packed pieces and some single ones.
fn packed_pieces(kind: &Kind, content: &[u8], source: &mut Source<'_>) -> Vec<(WireType, Vec<u8>)> {
    let (wire_type, numbers): (_, Vec<Vec<u8>>) = match kind {
        Kind::Float => (
            WireType::ThirtyTwoBit,
            content.chunks(4).map(Into::into).collect(),
        ),
        Kind::Double => (
            WireType::SixtyFourBit,
            content.chunks(8).map(Into::into).collect(),
        ),
        _ => {
            let mut rest = content;
            let mut numbers = Vec::new();
            while rest.has_remaining() {
                let mut bytes = Vec::new();
                encode_varint(decode_varint(&mut rest).expect("a varint"), &mut bytes);
                numbers.push(bytes);
            }
            (WireType::Varint, numbers)
        }
    };
    let mut pieces: Vec<(WireType, Vec<u8>)> = Vec::new();
    for number in numbers {
        match (source.below(3), pieces.last_mut()) {
            (0, Some((WireType::LengthDelimited, piece))) => piece.extend(number),
            (1, _) => pieces.push((wire_type, number)),
            _ => pieces.push((WireType::LengthDelimited, number)),
        }
    }
    pieces
}

fn unknown(number: u32, source: &mut Source<'_>) -> Record {
    let bytes = match source.below(5) {
        0 => record(number, WireType::Varint, &[0xff, 0x01]),
        1 => record(number, WireType::ThirtyTwoBit, &[1; 4]),
        2 => record(number, WireType::SixtyFourBit, &[1; 8]),
        3 => record(number, WireType::LengthDelimited, b"unknown"),
        _ => {
            let mut bytes = Vec::new();
            encode_key(number, WireType::StartGroup, &mut bytes);
            bytes.extend(record(1, WireType::LengthDelimited, b"inside"));
            encode_key(number, WireType::EndGroup, &mut bytes);
            bytes
        }
    };
    (number, bytes)
}

/// In another order, but for those of the same number.
fn shuffle(records: Vec<Record>, source: &mut Source<'_>) -> Vec<u8> {
    let mut left = records;
    let mut bytes = Vec::new();
    while !left.is_empty() {
        let number = left[source.below(left.len())].0;
        let first = left.iter().position(|record| record.0 == number);
        bytes.extend(left.remove(first.expect("just found")).1);
    }
    bytes
}

fn parse(mut message: &[u8]) -> Vec<(u32, WireType, Vec<u8>)> {
    let mut fields = Vec::new();
    while message.has_remaining() {
        let (number, wire_type) = decode_key(&mut message).expect("a tag");
        let start = message;
        let (skip, len) = match wire_type {
            WireType::Varint => {
                decode_varint(&mut message).expect("a varint");
                (0, start.len() - message.len())
            }
            WireType::ThirtyTwoBit => (0, 4),
            WireType::SixtyFourBit => (0, 8),
            WireType::LengthDelimited => {
                let len = decode_varint(&mut message).expect("a length") as usize;
                (start.len() - message.len(), len)
            }
            WireType::StartGroup => {
                // Unknown ones that were added before, all alike.
                let len = record(1, WireType::LengthDelimited, b"inside").len();
                let mut end = Vec::new();
                encode_key(number, WireType::EndGroup, &mut end);
                (0, len + end.len())
            }
            WireType::EndGroup => unreachable!("taken with its start"),
        };
        message = &start[skip + len..];
        fields.push((number, wire_type, start[skip..skip + len].to_vec()));
    }
    fields
}

fn record(number: u32, wire_type: WireType, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(number, wire_type, &mut bytes);
    if wire_type == WireType::LengthDelimited {
        encode_varint(content.len() as u64, &mut bytes);
    }
    bytes.extend(content);
    bytes
}
