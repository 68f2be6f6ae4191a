//! A directory, and a service on its bus that is hosted with our own `qi::host`.

use bytes::Bytes;
use naoqi::node;
use qi_grpc_gateway::qi::{
    host::{
        Handler, Host, HostOptions, Method, MethodError, ObjectBuilder, Registration, SignalHandle,
        Threading,
    },
    session::{DialOptions, Endpoint, RemoteObject, Session},
    value::Value,
    wire::{ActionId, Writer},
};

use super::messages::{TEXT, angles};

pub(crate) struct Robot {
    directory: Endpoint,
    tick: SignalHandle,
    frame: SignalHandle,
    _node: Box<dyn std::any::Any + Send + Sync>,
    _host: Host,
    _session: Session,
    _registration: Registration,
}

impl Robot {
    pub(crate) async fn start() -> Self {
        let mut init = node::init();
        init.bind("tcp://127.0.0.1:0".parse().expect("an address"));
        let node = init.host_space().start().await.expect("a directory");
        let url = node.endpoints().first().expect("an endpoint").to_string();
        let directory: Endpoint = url.parse().expect("a URL");

        let host = Host::listen("tcp://127.0.0.1:0", HostOptions::default())
            .await
            .expect("a free port");
        let options = DialOptions {
            dispatch: host.dispatch(),
            ..DialOptions::default()
        };
        let session = Session::connect(&directory, options)
            .await
            .expect("the directory");
        let mut object = ObjectBuilder::new();
        object.threading(Threading::Multi);
        for (name, parameters, returns, answer) in
            [("echo", "(s)", "s", 0), ("angles", "(s[f]f)", "[f]", 1)]
        {
            let handler = Handler::future(move |mut arguments: Vec<Value>| {
                let value = arguments.swap_remove(answer);
                std::future::ready(Ok::<_, MethodError>(value))
            });
            let method = Method::new(name, parameters, returns, handler).expect("a method");
            object.method(method).expect("another method");
        }
        let tick = object.signal("tick", "(l)").expect("a signal");
        let frame = object.signal("frame", "(r)").expect("a signal");
        let object = object.build().expect("an object");
        let registration = host
            .register(&session, "Bench", &object)
            .await
            .expect("a free name");
        Self {
            directory,
            tick,
            frame,
            _node: Box::new(node),
            _host: host,
            _session: session,
            _registration: registration,
        }
    }

    pub(crate) const fn directory(&self) -> &Endpoint {
        &self.directory
    }

    pub(crate) fn emit(&self, time: i64) {
        self.tick.emit(vec![Value::Int64(time)]).expect("a number");
    }

    pub(crate) fn emit_frame(&self, frame: Bytes) {
        self.frame.emit(vec![Value::Raw(frame)]).expect("bytes");
    }

    pub(crate) async fn client(&self) -> Client {
        let session = Session::connect(&self.directory, DialOptions::default())
            .await
            .expect("the directory");
        let object = session.service("Bench").await.expect("the service");
        Client {
            echo: Call::new(&object, "echo", text_payload(), text_result()),
            angles: Call::new(&object, "angles", angles_payload(), angles_result()),
            _session: session,
        }
    }
}

/// A bare qi client.
pub(crate) struct Client {
    pub(crate) echo: Call,
    pub(crate) angles: Call,
    _session: Session,
}

/// A method with encoded arguments and the result that they give.
#[derive(Clone)]
pub(crate) struct Call {
    object: RemoteObject,
    method: ActionId,
    arguments: Bytes,
    expected: Bytes,
}

impl Call {
    fn new(object: &RemoteObject, name: &str, arguments: Bytes, expected: Bytes) -> Self {
        Self {
            object: object.clone(),
            method: object.method(name).expect("the method").uid,
            arguments,
            expected,
        }
    }

    pub(crate) async fn call(&self) {
        let call = self.object.call(self.method, self.arguments.clone());
        let reply = call.await.expect("an answer");
        assert_eq!(reply.payload, self.expected, "not what was sent");
    }
}

fn size(size: usize) -> u32 {
    size.try_into().expect("a small number")
}

fn text_payload() -> Bytes {
    let mut writer = Writer::new();
    writer.u32(size(TEXT.len()));
    writer.raw(TEXT.as_bytes());
    writer.finish()
}

fn text_result() -> Bytes {
    text_payload()
}

fn angles_payload() -> Bytes {
    let mut writer = Writer::new();
    writer.raw(&text_payload());
    writer.raw(&angles_result());
    writer.raw(&0.5_f32.to_le_bytes());
    writer.finish()
}

fn angles_result() -> Bytes {
    let angles = angles();
    let mut writer = Writer::new();
    writer.u32(size(angles.len()));
    for angle in angles {
        writer.raw(&angle.to_le_bytes());
    }
    writer.finish()
}
