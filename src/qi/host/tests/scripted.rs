//! A client that sends exactly what it is told to.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::qi::{
    host::Host,
    session::{AuthMap, Capabilities},
    value::{
        Dynamic, Value,
        codec::{DecodeContext, decode},
    },
    wire::{
        ActionId, Address, FrameDecoder, Kind, Limits, Message, MessageId, ObjectId, ServiceId,
    },
};

pub(super) struct Client {
    stream: TcpStream,
    decoder: FrameDecoder,
    /// What came that was not waited for.
    pub(super) unasked: VecDeque<Message>,
    next_id: u32,
}

impl Client {
    pub(super) async fn connect(host: &Host) -> Self {
        let endpoints = host.endpoints();
        let address = endpoints[0].strip_prefix("tcp://").unwrap();
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            decoder: FrameDecoder::new(Limits::default().payload_bytes),
            unasked: VecDeque::new(),
            next_id: 1000,
        }
    }

    pub(super) async fn authenticated(host: &Host) -> Self {
        let mut client = Self::connect(host).await;
        let payload = AuthMap::of(Capabilities::OURS).encode().unwrap();
        let answer = client.call(Address::AUTHENTICATE, payload).await;
        assert_eq!(answer.kind, Kind::Reply);
        client
    }

    pub(super) async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(super) async fn send(&mut self, message: &Message) {
        let mut bytes = message.header().encode().to_vec();
        bytes.extend_from_slice(&message.payload);
        self.send_raw(&bytes).await;
    }

    /// The next message; none at the end of the connection.
    pub(super) async fn receive(&mut self) -> Option<Message> {
        let receive = async {
            loop {
                if let Some(message) = self.decoder.next_message().unwrap() {
                    return Some(message);
                }
                match self.stream.read_buf(self.decoder.buffer()).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        };
        timeout(Duration::from_secs(20), receive).await.unwrap()
    }

    pub(super) async fn answer(&mut self, id: MessageId) -> Message {
        let is_answer = |message: &Message| {
            message.id == id && matches!(message.kind, Kind::Reply | Kind::Error | Kind::Canceled)
        };
        if let Some(at) = self.unasked.iter().position(is_answer) {
            return self.unasked.remove(at).unwrap();
        }
        loop {
            let message = self.receive().await.expect("an answer, not the end");
            if is_answer(&message) {
                return message;
            }
            self.unasked.push_back(message);
        }
    }

    /// The next message that is one, whatever comes before it.
    pub(super) async fn find(&mut self, is_meant: impl Fn(&Message) -> bool) -> Message {
        if let Some(at) = self.unasked.iter().position(&is_meant) {
            return self.unasked.remove(at).unwrap();
        }
        loop {
            let message = self.receive().await.expect("a message, not the end");
            if is_meant(&message) {
                return message;
            }
            self.unasked.push_back(message);
        }
    }

    pub(super) async fn start(
        &mut self,
        kind: Kind,
        address: Address,
        payload: Bytes,
    ) -> MessageId {
        let id = MessageId(self.next_id);
        self.next_id += 1;
        self.send(&Message::new(kind, id, address, payload)).await;
        id
    }

    pub(super) async fn call(&mut self, address: Address, payload: Bytes) -> Message {
        let id = self.start(Kind::Call, address, payload).await;
        self.answer(id).await
    }

    /// Waits until the host has read everything that was sent before.
    pub(super) async fn settle(&mut self) {
        let nobody = Address::new(ServiceId(4711), ObjectId::MAIN, ActionId(100));
        assert_eq!(self.call(nobody, Bytes::new()).await.kind, Kind::Error);
    }
}

/// A member of the service that the tests host.
pub(super) fn member(action: u32) -> Address {
    Address::new(ServiceId(2), ObjectId::MAIN, ActionId(action))
}

pub(super) fn text_of(error: &Message) -> String {
    assert_eq!(error.kind, Kind::Error);
    let ty = "m".parse::<crate::qi::value::Signature>().unwrap();
    let value = decode(ty.ty(), &error.payload, DecodeContext::default()).unwrap();
    value.to_text().unwrap()
}

/// A dynamic as it stands in a payload.
pub(super) fn dynamic(signature: &str, value: Value) -> Bytes {
    let dynamic = Dynamic::new(signature.parse().unwrap(), value);
    crate::qi::host::arguments::dynamic_payload(&dynamic, Default::default()).unwrap()
}
