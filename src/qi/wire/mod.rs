//! Bytes to messages and back, without IO.
//!
//! | module | what |
//! | --- | --- |
//! | [`ids`] | the protocol's numbers as types |
//! | [`header`] | the 28 bytes before every payload |
//! | [`message`] | a header with its payload |
//! | [`frame`] | cutting a byte stream into messages |
//! | [`reader`], [`writer`] | bounds-checked little-endian primitives |
//! | [`limits`] | every size a peer controls |

pub mod frame;
pub mod header;
pub mod ids;
pub mod limits;
pub mod message;
pub mod reader;
pub mod writer;

pub use frame::{FrameDecoder, FrameError};
pub use header::{Flags, HEADER_BYTES, Header, HeaderError, Kind};
pub use ids::{ActionId, Address, MessageId, ObjectId, ServiceId};
pub use limits::Limits;
pub use message::Message;
pub use reader::{ReadError, Reader};
pub use writer::{TooLong, Writer};
