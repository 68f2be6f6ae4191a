//! The tutorial's service `foo`: a signal, and two ways to take one's time.
//!
//! `bar` occupies a thread, of which there are only so many; `betterBar` gives a future and occupies
//! none. The service is multi-threaded, unlike libqi's objects by default: in a demo that many try
//! at once, a `bar` of one shall not delay the calls of the others.

use std::{thread, time::Duration};

use crate::qi::{
    host::{BuildError, Handler, HostedObject, Method, MethodError, ObjectBuilder, Threading},
    value::Value,
};

/// How long a delay may be, in seconds.
const MAX_DELAY_SECONDS: f64 = 3600.0;

/// What `bang` emits.
const BANG: i32 = 42;

/// The object to be registered as `foo`.
///
/// # Errors
///
/// [`BuildError`]; none, unless this file is wrong.
pub fn build() -> Result<HostedObject, BuildError> {
    let mut object = ObjectBuilder::new();
    object.description("The service of the tutorial: a signal, and two ways to take one's time.");
    object.threading(Threading::Multi);
    let on_bang = object.signal("onBang", "(i)")?;
    let bang = Handler::future(move |_| {
        let emitted = on_bang.emit(vec![Value::Int32(BANG)]);
        let emitted = emitted.map_err(|error| MethodError::failed(error.to_string()));
        std::future::ready(emitted.map(|()| Value::Void))
    });
    object.method(
        Method::new("bang", "()", "v", bang)?.description("Emits the signal onBang with 42."),
    )?;
    let bar = Handler::blocking(|arguments| {
        let (seconds, delay) = delay(&arguments)?;
        thread::sleep(delay);
        Ok(Value::Double(seconds))
    });
    object.method(
        Method::new("bar", "(d)", "d", bar)?
            .description(
                "Waits, and occupies a thread of the service meanwhile. It cannot be cancelled.",
            )
            .parameter("delay", "seconds")
            .returns("the delay, in seconds"),
    )?;
    let better_bar = Handler::deferred(|arguments| {
        let delay = delay(&arguments);
        async move {
            let (seconds, delay) = delay?;
            tokio::time::sleep(delay).await;
            Ok(Value::Double(seconds))
        }
    });
    object.method(
        Method::new("betterBar", "(d)", "d", better_bar)?
            .description("Waits through a future, and occupies no thread. It can be cancelled.")
            .parameter("delay", "seconds")
            .returns("the delay, in seconds"),
    )?;
    object.build()
}

/// The delay of a call, as it came and as a duration.
fn delay(arguments: &[Value]) -> Result<(f64, Duration), MethodError> {
    let seconds = match arguments {
        [Value::Double(seconds)] => *seconds,
        _ => return Err(MethodError::failed("one delay expected")),
    };
    if !(0.0..=MAX_DELAY_SECONDS).contains(&seconds) {
        let text = format!("a delay is 0 to {MAX_DELAY_SECONDS} seconds, not {seconds}");
        return Err(MethodError::failed(text));
    }
    Ok((seconds, Duration::from_secs_f64(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_bounded() {
        for seconds in [0.0, 0.2, 3600.0] {
            let (given, delay) = delay(&[Value::Double(seconds)]).unwrap();
            assert_eq!((given, delay.as_secs_f64()), (seconds, seconds));
        }
        for seconds in [-0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 3600.1] {
            let error = delay(&[Value::Double(seconds)]).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with("a delay is 0 to 3600 seconds"),
                "{error}"
            );
        }
    }

    #[test]
    fn members_say_what_they_do() {
        let foo = build().unwrap();
        let meta = foo.meta();
        for name in ["bar", "betterBar"] {
            let method = meta.methods_named(name).next().unwrap();
            assert!(!method.description.is_empty());
            let [parameter] = &*method.parameters else {
                panic!("{name} has one parameter");
            };
            assert_eq!(
                (&*parameter.name, &*parameter.description),
                ("delay", "seconds")
            );
            assert_eq!(method.parameters_signature.as_str(), "(d)");
        }
        assert_eq!(meta.signal("onBang").unwrap().signature.as_str(), "(i)");
    }
}
