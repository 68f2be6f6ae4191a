//! What Rust functions become.

use std::sync::mpsc;

use tokio::time::sleep;

use crate::qi::{
    host::{
        Cancellation, Handler, HostedObject, Method, MethodError, ObjectBuilder, Threading,
        method::Started,
    },
    value::{Dynamic, Value},
};

fn declared(method: &Method) -> String {
    format!(
        "{}::{} -> {}",
        method.name, method.parameters_signature, method.return_signature
    )
}

/// Calls a method as its object does.
async fn call(handler: &Handler, arguments: Vec<Value>) -> Result<Value, MethodError> {
    match handler.start(arguments) {
        Started::Future(future) | Started::Deferred(future) => future.await,
        Started::Blocking(block) => block(&Cancellation::new(Default::default())),
    }
}

fn double(value: f32) -> f64 {
    f64::from(value) * 2.0
}

#[test]
fn signatures_follow_from_the_types() {
    let methods = [
        Method::blocking("double", double),
        Method::blocking("nothing", || {}),
        Method::blocking("any", |value: Dynamic| value),
        Method::blocking("fails", |_: String| Err::<i8, _>("no")),
        Method::future("later", |_: bool, _: Vec<u8>| async { "text" }),
        Method::deferred("much later", |_: (i32, i64)| async {
            Ok::<_, std::fmt::Error>(Some(1_u16))
        }),
        Method::cancelable(
            "eight",
            |_: &Cancellation, a: i8, _: i8, _: i8, _: i8, _: i8, _: i8, _: i8, _: u64| a,
        ),
    ];
    let declared: Vec<String> = methods.iter().map(declared).collect();
    assert_eq!(
        declared,
        [
            "double::(f) -> d",
            "nothing::() -> v",
            "any::(m) -> m",
            "fails::(s) -> c",
            "later::(b[C]) -> s",
            "much later::((il)) -> +W",
            "eight::(cccccccL) -> c",
        ]
    );
}

#[tokio::test]
async fn functions_get_arguments_and_give_results() {
    let one = vec![Value::Float(1.0)];
    for method in [
        Method::blocking("double", double),
        Method::future("double", |value: f32| async move { double(value) }),
        Method::deferred("double", |value: f32| async move {
            sleep(std::time::Duration::from_millis(1)).await;
            double(value)
        }),
        Method::cancelable("double", |_: &Cancellation, value: f32| double(value)),
    ] {
        let result = call(&method.handler, one.clone()).await;
        assert_eq!(result, Ok(Value::Double(2.0)), "{method:?}");
        for wrong in [vec![], vec![Value::Double(1.0)]] {
            let error = call(&method.handler, wrong).await.unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with("the arguments: "), "{text}");
        }
    }
}

#[tokio::test]
async fn errors_are_told_as_texts() {
    let odd = Method::blocking("odd", |value: i32| match value % 2 {
        0 => Err("even"),
        _ => Ok(()),
    });
    assert_eq!(
        call(&odd.handler, vec![Value::Int32(3)]).await,
        Ok(Value::Void)
    );
    let even = call(&odd.handler, vec![Value::Int32(2)]).await;
    assert_eq!(even, Err(MethodError::failed("even")));
    let parse = Method::future("parse", |text: String| async move { text.parse::<i32>() });
    let error = call(&parse.handler, vec![Value::text("x")]).await;
    assert_eq!(
        error,
        Err(MethodError::failed("invalid digit found in string"))
    );
    let canceled = Method::deferred("canceled", || async { Err::<(), _>(MethodError::Canceled) });
    let error = call(&canceled.handler, vec![]).await;
    assert_eq!(error, Err(MethodError::Canceled));
}

#[test]
fn a_function_is_told_that_it_is_cancelled() {
    let method = Method::cancelable("check", |cancellation: &Cancellation| cancellation.check());
    let token = tokio_util::sync::CancellationToken::new();
    let run = |token| match method.handler.start(vec![]) {
        Started::Blocking(block) => block(&Cancellation::new(token)),
        _ => panic!("it blocks"),
    };
    assert_eq!(run(token.clone()), Ok(Value::Void));
    token.cancel();
    assert_eq!(run(token), Err(MethodError::Canceled));
}

fn object(build: impl FnOnce(&mut ObjectBuilder)) -> HostedObject {
    let mut object = ObjectBuilder::new();
    object.threading(Threading::Multi);
    build(&mut object);
    object.build().unwrap()
}

#[test]
fn signals_and_properties_are_declared() {
    let object = object(|object| {
        let nothing = object.typed_signal::<()>("nothing").unwrap();
        nothing.emit(()).unwrap();
        let pair = object.typed_signal::<(i32, String)>("pair").unwrap();
        pair.clone().emit((1, "x".to_owned())).unwrap();
        object.typed_signal::<(i32,)>("pair").unwrap_err();

        let level = object.typed_property("level", 7_u8).unwrap();
        assert_eq!(level.get(), Ok(7));
        level.clone().set(8).unwrap();
        assert_eq!(level.get(), Ok(8));
    });
    let meta = object.meta();
    let signature = |name| meta.signal(name).unwrap().signature.as_str();
    assert_eq!(signature("nothing"), "()");
    assert_eq!(signature("pair"), "(is)");
    assert_eq!(signature("level"), "(C)");
}

#[test]
fn what_others_set_is_told_as_the_type() {
    let (sender, set) = mpsc::sync_channel(4);
    let mut property = None;
    object(|object| {
        let told = object.typed_property_with("level", 0.5_f64, move |level| {
            sender.send(level).unwrap();
        });
        property = Some(told.unwrap());
    });
    let property = property.unwrap();
    let dynamic = Dynamic::of(3_i32);
    let ty = dynamic.signature.as_ref().unwrap().ty();
    property.handle().0.set_from(&dynamic.value, ty).unwrap();
    assert_eq!(set.try_recv(), Ok(3.0));
    assert_eq!(property.get(), Ok(3.0));
    property.set(4.0).unwrap();
    assert!(set.try_recv().is_err(), "only what others set");
}
