//! What a forwarding object holds.

use super::*;
use crate::qi::host::ObjectBuilder;

#[derive(Debug)]
struct Nobody;

impl Origin for Nobody {
    fn object(&self) -> Option<RemoteObject> {
        None
    }
}

/// Each time that an object was passed on, all of its methods were made anew and what it says of
/// itself was encoded: a peer could have some ten times that held, for every time that it asked.
#[test]
fn what_forwards_holds_nothing_of_the_meta_object_but_a_reference() {
    let mut builder = ObjectBuilder::new();
    let method = Method::new("f", "(i)", "s", Handler::blocking(|_| Ok(Value::Void)));
    builder.method(method.unwrap()).unwrap();
    let meta = Arc::new(builder.build().unwrap().meta().clone());
    let object = Object::forwarding(Arc::clone(&meta), ObjectUid([7; 20]), Arc::new(Nobody));
    assert!(Arc::ptr_eq(&object.meta, &meta));
    assert!(object.methods.is_empty() && object.encoded_meta.is_none());
    let f = object.method(ActionId::FIRST_OWN).unwrap();
    assert_eq!((f.name.as_str(), f.return_signature.as_str()), ("f", "s"));
    // Those of its place on a connection are its own.
    assert!(object.method(ActionId::META_OBJECT).is_none());
    assert!(object.method(ActionId::PROPERTY).is_some());
    assert!(object.encoded_meta().is_ok_and(|bytes| !bytes.is_empty()));
}

/// Each call that waited had a copy of the signatures of its method, of some megabytes at worst.
#[test]
fn calls_of_one_method_share_it() {
    let meta = ObjectBuilder::new().build().unwrap().meta().clone();
    let object = Object::forwarding(Arc::new(meta), ObjectUid([7; 20]), Arc::new(Nobody));
    let first = object.method(ActionId::PROPERTY).unwrap();
    let second = object.method(ActionId::PROPERTY).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    // Nothing is kept for later ones.
    let gone = Arc::downgrade(&first);
    drop((first, second));
    assert!(gone.upgrade().is_none());
    let _other = object.method(ActionId::PROPERTIES).unwrap();
    assert_eq!(object.upstream.as_ref().unwrap().called.lock().len(), 1);
}
