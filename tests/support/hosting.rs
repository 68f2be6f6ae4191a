//! Services that a gRPC client hosts on a bus of the real libqi, message by message.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Gateway, GrpcClient, GrpcTalk, LibqiClient, LibqiRobot, PATIENCE};

/// A robot, a gateway in front of it, and a client of the robot.
pub(crate) struct Bus {
    /// The robot.
    pub(crate) robot: LibqiRobot,
    /// The gateway.
    pub(crate) gateway: Gateway,
    /// The client of the robot.
    pub(crate) libqi: LibqiClient,
}

impl Bus {
    /// Starts all of it.
    pub(crate) async fn new() -> Self {
        let robot = LibqiRobot::start(&[]).await;
        let gateway = Gateway::serve(robot.url()).await;
        let libqi = LibqiClient::connect(robot.url()).await;
        Self {
            robot,
            gateway,
            libqi,
        }
    }

    /// Whether the bus has a service.
    pub(crate) async fn has(&self, name: &str) -> bool {
        self.libqi.services().await.iter().any(|it| it == name)
    }

    /// Waits until the bus has a service no more.
    pub(crate) async fn wait_gone(&self, name: &str) {
        let leaving = async {
            while self.has(name).await {
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::time::timeout(PATIENCE, leaving).await.unwrap();
    }
}

/// Between two looks at something that cannot be awaited.
const RETRY: Duration = Duration::from_millis(20);

/// The method that hosts.
pub(crate) const HOST: &str = "qi.gateway.v1.HostingService/Host";

/// A service that a client in Python hosts; the test answers its calls.
pub(crate) struct Hosted<'a> {
    /// The stream.
    pub(crate) talk: GrpcTalk<'a>,
}

/// A call to be answered.
#[derive(Debug)]
pub(crate) struct Call {
    /// Its number.
    pub(crate) id: Value,
    /// The method.
    pub(crate) method: String,
    /// The arguments.
    pub(crate) args: Value,
    /// The signature of the parameters.
    pub(crate) signature: String,
}

impl<'a> Hosted<'a> {
    /// Declares a service and waits until it is on the bus.
    pub(crate) async fn declare(client: &'a GrpcClient, declare: Value) -> Self {
        let talk = client.talk(HOST, json!({"declare": declare}));
        let hosted = Self { talk };
        hosted.registered().await;
        hosted
    }

    /// Waits until the service is on the bus, and gives its number.
    pub(crate) async fn registered(&self) -> u64 {
        let message = self.talk.message().await;
        let id = message["registered"]["serviceId"].as_u64();
        id.filter(|id| *id > 1)
            .unwrap_or_else(|| panic!("not registered: {message}"))
    }

    /// The next message, which must be a call.
    pub(crate) async fn call(&self) -> Call {
        let mut message = self.talk.message().await;
        let call = &mut message["call"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match (text(&call["method"]), text(&call["parametersSignature"])) {
            (Some(method), Some(signature)) => Call {
                id: call["callId"].take(),
                method,
                args: call["args"].take(),
                signature,
            },
            _ => panic!("no call: {message}"),
        }
    }

    /// The next message, which must cancel a call.
    pub(crate) async fn cancel(&self) -> Value {
        let mut message = self.talk.message().await;
        assert!(message["cancel"].is_object(), "{message}");
        message["cancel"]["callId"].take()
    }

    /// Answers a call with a value.
    pub(crate) async fn answer(&self, call: &Call, value: Value) {
        self.result(call, json!({ "value": value })).await;
    }

    /// Answers a call.
    pub(crate) async fn result(&self, call: &Call, mut result: Value) {
        result["callId"] = call.id.clone();
        self.talk.say(json!({ "result": result })).await;
    }

    /// Emits a signal.
    pub(crate) async fn emit(&self, signal: &str, args: Value) {
        let emit = json!({"signal": signal, "args": args});
        self.talk.say(json!({ "emit": emit })).await;
    }

    /// Sets a property.
    pub(crate) async fn set(&self, name: &str, value: Value) {
        let property = json!({"name": name, "value": value});
        self.talk.say(json!({ "property": property })).await;
    }
}
