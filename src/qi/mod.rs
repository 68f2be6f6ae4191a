//! Native qimessaging, the RPC protocol of libqi and NAOqi. Knows nothing of gRPC or protobuf.
//!
//! | module | what |
//! | --- | --- |
//! | [`wire`] | bytes to messages and back: reader, writer, header, framing, limits; no IO |
//! | [`value`] | signatures, dynamic values, binary encoding, MetaObject, object references |
//! | [`session`] | the client side: connections, calls, events, the service directory |
//! | [`host`] | the serving side: put objects on a bus |
//! | [`application`] | a process on a bus: command line, reconnection, services kept registered |

pub mod application;
pub mod host;
pub mod session;
pub mod value;
pub mod wire;
