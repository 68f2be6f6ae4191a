//! Members made of plain Rust functions and types; signatures follow from the types
//! ([`crate::qi::value::typed`]).
//!
//! ```
//! use std::{thread, time::Duration};
//! use qi_grpc_gateway::{qi::host::{Cancellation, Method, MethodError, ObjectBuilder}, qi_struct};
//!
//! struct Point { x: f64, y: f64 }
//! qi_struct!(Point { x, y });
//!
//! let mut object = ObjectBuilder::new();
//!
//! let moved = object.typed_signal::<(Point, String)>("moved")?;
//! let speed = object.typed_property("speed", 1.0_f64)?;
//!
//! // The object is busy until the future is ready.
//! object.method(Method::future("moveTo", move |to: Point| {
//!     let emitted = moved.emit((to, "kitchen".to_owned()));
//!     async move { emitted }
//! }))?;
//!
//! // The object goes on with the next call while the future waits.
//! object.method(Method::deferred("rest", |seconds: u32| async move {
//!     tokio::time::sleep(Duration::from_secs(seconds.into())).await;
//! }))?;
//!
//! // The function may block, and fail.
//! object.method(
//!     Method::blocking("halve", |value: i32| match value % 2 {
//!         0 => Ok(value / 2),
//!         _ => Err(format!("{value} is odd")),
//!     })
//!     .description("Half of an even number.")
//!     .parameter("value", "an even number"),
//! )?;
//!
//! // The function may block for long, and looks whether it still has to.
//! object.method(Method::cancelable("count", |cancellation: &Cancellation, to: u64| {
//!     for _ in 0..to {
//!         cancellation.check()?;
//!         thread::sleep(Duration::from_millis(10));
//!     }
//!     Ok::<_, MethodError>(to)
//! }))?;
//!
//! let object = object.build()?;
//! let halve = object.meta().methods_named("halve").next().unwrap();
//! assert_eq!(halve.parameters_signature.as_str(), "(i)");
//! assert_eq!(object.meta().signal("moved").unwrap().signature.as_str(), "((dd)<Point,x,y>s)");
//! speed.set(0.5)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod function;
mod method;
mod objects;
mod property;
mod signal;

#[cfg(test)]
mod tests;

pub use function::{CancelableFn, MethodFn, Returns};
pub use property::TypedProperty;
pub use signal::TypedSignal;
