//! An object like the service `Rich` of the recordings, as far as it gives and takes objects: the
//! members that the scripts use, under the numbers that they have there.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::rich::{fill, method};
use crate::qi::{
    host::{Handler, HostedObject, Method, MethodError, ObjectBuilder, SignalHandle},
    session::{EventSink, RemoteObject, RemoteSignal},
    value::{Dynamic, Value},
    wire::Flags,
};

/// The `Item` of the recordings, member by member.
pub(super) fn item(name: &str) -> HostedObject {
    let name = Arc::new(Mutex::new(name.to_owned()));
    let mut object = ObjectBuilder::new();
    let changed = object.signal("changed", "(s)").unwrap();
    object.property("count", "i", Value::Int32(0)).unwrap();
    let known = Arc::clone(&name);
    let hello = Handler::future(move |_| {
        let text = format!("hello from {}", known.lock());
        std::future::ready(Ok(Value::text(&text)))
    });
    let hello = Method::new("hello", "()", "s", hello).unwrap();
    object.method(hello.description("says hello")).unwrap();
    let rename = Handler::future(move |mut args| {
        let new = args.remove(0);
        *name.lock() = new.to_text().unwrap();
        changed.emit(vec![new]).unwrap();
        std::future::ready(Ok(Value::Void))
    });
    let rename = Method::new("rename", "(s)", "v", rename).unwrap();
    object.method(rename.description("None")).unwrap();
    object.build().unwrap()
}

/// What the service was given to keep.
type Kept = Arc<Mutex<Vec<Value>>>;

pub(super) fn factory() -> HostedObject {
    let mut object = ObjectBuilder::new();
    let kept = Kept::default();
    let watched = Arc::new(Mutex::new(None::<RemoteSignal>));
    fill(&mut object, 100..108);
    let (drop_kept, unwatch) = (Arc::clone(&kept), Arc::clone(&watched));
    method(&mut object, "dropKept", "()", "v", move |_| {
        unwatch.lock().take();
        drop_kept.lock().clear();
        Ok(Value::Void)
    });
    fill(&mut object, 109..121);
    let give = Arc::clone(&kept);
    method(&mut object, "giveKept", "()", "o", move |_| {
        Ok(give.lock().last().unwrap().clone())
    });
    method(&mut object, "inc", "(i)", "i", |args| {
        let number = args[0].to_i64().unwrap();
        Ok(Value::Int32(i32::try_from(number + 1).unwrap()))
    });
    fill(&mut object, 123..124);
    let keep = Arc::clone(&kept);
    method(&mut object, "keep", "(o)", "v", move |mut args| {
        keep.lock().push(args.remove(0));
        Ok(Value::Void)
    });
    fill(&mut object, 125..128);
    let line = object.signal("line", "(s)").unwrap();
    makers(&mut object);
    fill(&mut object, 134..144);
    users(&mut object, kept, watched, line);
    let object = object.build().unwrap();
    assert_eq!(
        object.meta().methods_named("use").next().unwrap().uid.0,
        150
    );
    object
}

fn makers(object: &mut ObjectBuilder) {
    method(object, "make", "(s)", "o", |args| {
        Ok(item(&args[0].to_text().unwrap()).into())
    });
    method(object, "makeDynamic", "(m)", "m", |args| {
        let item = item(&args[0].to_text().unwrap());
        let dynamic = Dynamic::new("o".parse().unwrap(), item.into());
        Ok(Value::Dynamic(Box::new(dynamic)))
    });
    method(object, "makeMany", "(i)", "[o]", |args| {
        let count = args[0].to_i64().unwrap();
        let items = (0..count).map(|n| item(&format!("n{n}")).into());
        Ok(Value::List(items.collect()))
    });
    method(object, "makeNull", "()", "o", |_| Ok(Value::Void));
    let shared = item("shared");
    method(object, "makeShared", "()", "o", move |_| {
        Ok(shared.clone().into())
    });
}

fn users(
    object: &mut ObjectBuilder,
    kept: Kept,
    watched: Arc<Mutex<Option<RemoteSignal>>>,
    line: SignalHandle,
) {
    let poke = Arc::clone(&kept);
    asynchronous(object, "pokeKept", "()", "s", move |_| {
        let remote = RemoteObject::from_value(poke.lock().last().unwrap()).unwrap();
        async move { hello(&remote).await.map(|text| Value::text(&text)) }
    });
    fill(object, 145..150);
    asynchronous(object, "use", "(o)", "s", |args| async move {
        let remote = RemoteObject::from_value(&args[0]).unwrap();
        let text = hello(&remote).await?;
        Ok(Value::text(&format!("got: {text}")))
    });
    fill(object, 151..152);
    asynchronous(object, "watchKept", "()", "v", move |_| {
        let remote = RemoteObject::from_value(kept.lock().last().unwrap()).unwrap();
        let (line, watched) = (line.clone(), Arc::clone(&watched));
        async move {
            let signal = remote.meta().signal("changed").unwrap().uid;
            let subscribed = remote.subscribe(signal, Arc::new(Lines(line))).await;
            *watched.lock() = Some(subscribed.unwrap());
            Ok(Value::Void)
        }
    });
}

async fn hello(remote: &RemoteObject) -> Result<String, MethodError> {
    let text = remote.call_by_name("hello", vec![]).await;
    let text = text.map_err(|error| MethodError::failed(error.to_string()))?;
    Ok(text.to_text().unwrap())
}

struct Lines(SignalHandle);

impl EventSink for Lines {
    fn event(&self, payload: &Bytes, flags: Flags) {
        assert_eq!(flags, Flags::NONE);
        let text = std::str::from_utf8(&payload[4..]).unwrap();
        let line = Value::text(&format!("kept: {text}"));
        self.0.emit(vec![line]).unwrap();
    }
}

fn asynchronous<F, R>(
    object: &mut ObjectBuilder,
    name: &str,
    parameters: &str,
    returns: &str,
    function: F,
) where
    F: Fn(Vec<Value>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Value, MethodError>> + Send + 'static,
{
    let method = Method::new(name, parameters, returns, Handler::deferred(function)).unwrap();
    object.method(method).unwrap();
}
