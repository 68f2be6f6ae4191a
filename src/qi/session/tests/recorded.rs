//! Recorded traffic of the real libqi.

use bytes::Bytes;

use crate::qi::wire::{HEADER_BYTES, Header, Kind, Message};

/// One frame of a recording.
pub(in crate::qi::session) struct Frame {
    pub(in crate::qi::session) from_client: bool,
    pub(in crate::qi::session) message: Message,
}

/// The frames of the first connection of a recording.
pub(in crate::qi::session) fn frames(name: &str) -> Vec<Frame> {
    let path = format!(
        "{}/tests/data/vectors/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).unwrap();
    let recording: serde_json::Value = serde_json::from_str(&text).unwrap();
    let frames = recording["frames"].as_array().unwrap().iter();
    let frames = frames.filter(|frame| frame["conn"] == 0);
    let bytes = |value: &serde_json::Value| hex::decode(value.as_str().unwrap()).unwrap();
    frames
        .map(|frame| {
            let header = bytes(&frame["header_hex"]);
            let header = header.first_chunk::<HEADER_BYTES>().unwrap();
            let payload = Bytes::from(bytes(&frame["payload_hex"]));
            Frame {
                from_client: frame["dir"] == "c2s",
                message: Message::from_parts(Header::decode(header).unwrap(), payload),
            }
        })
        .collect()
}

/// Whether a message answers another.
pub(in crate::qi::session) const fn is_answer(message: &Message) -> bool {
    matches!(message.kind, Kind::Reply | Kind::Error | Kind::Canceled)
}
