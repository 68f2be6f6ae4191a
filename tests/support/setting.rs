//! A robot on the real libqi with the gateway in front of it.

use serde_json::{Value, json};

use super::{Gateway, GrpcClient, LibqiClient, LibqiRobot, Reply};

/// A robot, the gateway in front of it, and a client of each.
pub(crate) struct Setting {
    /// The robot.
    pub(crate) robot: LibqiRobot,
    /// The gateway that serves it.
    pub(crate) gateway: Gateway,
    /// A client of the gateway, in Python.
    pub(crate) grpc: GrpcClient,
    /// A client of the robot itself.
    pub(crate) libqi: LibqiClient,
}

impl Setting {
    /// Starts all of it and waits until every service can be called.
    pub(crate) async fn new() -> Self {
        let robot = LibqiRobot::start(&[]).await;
        let gateway = Gateway::serve(robot.url()).await;
        for service in [
            "qi.typed.v1.Typed",
            "qi.plain.v1.Plain",
            "qi.slow.v1.Slow",
            "qi.bells.v1.Bells",
        ] {
            gateway.wait_serving(service).await;
        }
        let grpc = GrpcClient::python(gateway.address()).await;
        let libqi = LibqiClient::connect(robot.url()).await;
        Self {
            robot,
            gateway,
            grpc,
            libqi,
        }
    }

    /// Calls a generated method of the service `Typed`.
    pub(crate) async fn typed(&self, rpc: &str, request: Value) -> Reply {
        self.grpc
            .unary(&format!("qi.typed.v1.Typed/{rpc}"), request)
            .await
    }

    /// How the robot saw the last argument of an echo.
    pub(crate) async fn seen(&self) -> Value {
        self.libqi.call("Typed", "seen", json!([])).await.unwrap()
    }
}
