//! An object like the service `Rich` of the recordings: the members that the scripts use, under
//! the numbers that they have there.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::qi::{
    host::{Handler, HostedObject, Method, MethodError, ObjectBuilder},
    value::{Dynamic, Value},
};

pub(super) fn rich() -> HostedObject {
    let mut object = ObjectBuilder::new();
    let notes = Arc::new(Mutex::new(Vec::new()));
    fill(&mut object, 100..101);
    object.signal("anything", "m").unwrap();
    fill(&mut object, 102..109);
    method(&mut object, "echo", "(m)", "m", |mut args| {
        Ok(args.remove(0))
    });
    fill(&mut object, 110..117);
    let tick = Arc::new(Mutex::new(None::<crate::qi::host::SignalHandle>));
    let emitter = Arc::clone(&tick);
    method(&mut object, "emit_tick", "(i)", "v", move |args| {
        emitter.lock().as_ref().unwrap().emit(args).unwrap();
        Ok(Value::Void)
    });
    fill(&mut object, 118..119);
    method(&mut object, "fail", "()", "v", |_| {
        Err(MethodError::failed("no"))
    });
    fill(&mut object, 120..122);
    method(&mut object, "inc", "(i)", "i", |args| {
        let number = args[0].to_i64().unwrap();
        Ok(Value::Int32(i32::try_from(number + 1).unwrap()))
    });
    fill(&mut object, 123..124);
    method(&mut object, "keep", "(o)", "v", |_| Ok(Value::Void));
    fill(&mut object, 125..126);
    let nothing = Value::Dynamic(Box::new(Dynamic::empty()));
    object.property("free", "m", nothing).unwrap();
    object.property("level", "i", Value::Int32(3)).unwrap();
    for name in ["table", "title", "where"] {
        object.property(name, "s", Value::text("")).unwrap();
    }
    fill(&mut object, 131..134);
    let noted = Arc::clone(&notes);
    method(&mut object, "note", "(s)", "v", move |mut args| {
        noted.lock().push(args.remove(0));
        Ok(Value::Void)
    });
    method(&mut object, "notes", "()", "[s]", move |_| {
        Ok(Value::List(notes.lock().clone()))
    });
    fill(&mut object, 136..147);
    *tick.lock() = Some(object.signal("tick", "(i)").unwrap());
    fill(&mut object, 148..149);
    method(&mut object, "var", "(#i)", "i", |_| Ok(Value::Int32(0)));
    let object = object.build().unwrap();
    assert_eq!(object.meta().signal("tick").unwrap().uid.0, 147);
    assert_eq!(object.meta().property("level").unwrap().uid.0, 127);
    object
}

/// Takes the place of the service directory, as far as the scripts talk to it.
pub(super) fn directory() -> HostedObject {
    let mut object = ObjectBuilder::new();
    method(&mut object, "service", "(s)", "s", |mut args| {
        Ok(args.remove(0))
    });
    method(&mut object, "services", "()", "[s]", |_| {
        Ok(Value::List(Vec::new()))
    });
    object.build().unwrap()
}

pub(super) fn fill(object: &mut ObjectBuilder, numbers: std::ops::Range<u32>) {
    for number in numbers {
        method(object, &format!("unused{number}"), "()", "v", |_| {
            Ok(Value::Void)
        });
    }
}

pub(super) fn method(
    object: &mut ObjectBuilder,
    name: &str,
    parameters: &str,
    returns: &str,
    function: impl Fn(Vec<Value>) -> Result<Value, MethodError> + Send + Sync + 'static,
) {
    let handler = Handler::future(move |args| std::future::ready(function(args)));
    let method = Method::new(name, parameters, returns, handler).unwrap();
    object.method(method).unwrap();
}
