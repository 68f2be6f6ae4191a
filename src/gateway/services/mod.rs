//! The static API of the gateway itself, thin over the bridge.
//!
//! | module | service |
//! | --- | --- |
//! | `directory` | `DirectoryService` |
//! | `dynamic` | `DynamicService` |
//! | `hosting` | `HostingService` |
//! | `object` | `ObjectService` |
//! | `request` | what the requests of all of them have in common |

pub(crate) mod directory;
pub(crate) mod dynamic;
pub(crate) mod hosting;
pub(crate) mod object;

mod request;
