//! The tutorial's service `foo`: a signal, and two ways to take one's time.
//!
//! `bar` occupies a thread, of which there are only so many; `betterBar` gives a future and occupies
//! none. The service is multi-threaded, unlike libqi's objects by default: in a demo that many try
//! at once, a `bar` of one shall not delay the calls of the others.

use std::{future::ready, thread, time::Duration};

use crate::qi::host::{
    BuildError, HostedObject, Method, MethodError, ObjectBuilder, Threading, TypedSignal,
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
    let on_bang: TypedSignal<(i32,)> = object.typed_signal("onBang")?;
    object.method(
        Method::future("bang", move || ready(on_bang.emit((BANG,))))
            .description("Emits the signal onBang with 42."),
    )?;
    let bar = |seconds: f64| {
        let delay = delay(seconds)?;
        thread::sleep(delay);
        Ok::<_, MethodError>(seconds)
    };
    object.method(
        Method::blocking("bar", bar)
            .description(
                "Waits, and occupies a thread of the service meanwhile. It cannot be cancelled.",
            )
            .parameter("delay", "seconds")
            .returns("the delay, in seconds"),
    )?;
    let better_bar = |seconds: f64| async move {
        let delay = delay(seconds)?;
        tokio::time::sleep(delay).await;
        Ok::<_, MethodError>(seconds)
    };
    object.method(
        Method::deferred("betterBar", better_bar)
            .description("Waits through a future, and occupies no thread. It can be cancelled.")
            .parameter("delay", "seconds")
            .returns("the delay, in seconds"),
    )?;
    object.build()
}

/// The delay of a call.
fn delay(seconds: f64) -> Result<Duration, MethodError> {
    if !(0.0..=MAX_DELAY_SECONDS).contains(&seconds) {
        let text = format!("a delay is 0 to {MAX_DELAY_SECONDS} seconds, not {seconds}");
        return Err(MethodError::failed(text));
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_bounded() {
        for seconds in [0.0, 0.2, 3600.0] {
            assert_eq!(delay(seconds).unwrap().as_secs_f64(), seconds);
        }
        for seconds in [-0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 3600.1] {
            let error = delay(seconds).unwrap_err();
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
