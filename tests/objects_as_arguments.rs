//! Objects that a gRPC client got from the robot, passed back to it: to a service in another
//! process, on the real libqi.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{Gateway, GrpcClient, LibqiRobot, LibqiService, PATIENCE, Reply};

const DYNAMIC: &str = "qi.gateway.v1.DynamicService";
const VISITORS: &str = "qi.visitors.v1.Visitors";

/// A robot that makes bells, a service in another process that is given them, the gateway in front
/// of both and a client of it.
struct Belfry {
    robot: LibqiRobot,
    visitors: LibqiService,
    gateway: Gateway,
    grpc: GrpcClient,
}

impl Belfry {
    async fn new() -> Self {
        let robot = LibqiRobot::start(&[]).await;
        let visitors = LibqiService::run("visitors.py", robot.url(), "Visitors").await;
        let gateway = Gateway::serve(robot.url()).await;
        for service in ["qi.bells.v1.Bells", VISITORS] {
            gateway.wait_serving(service).await;
        }
        let grpc = GrpcClient::python(gateway.address()).await;
        Self {
            robot,
            visitors,
            gateway,
            grpc,
        }
    }

    async fn call(&self, service: &str, method: &str, args: Value) -> Reply {
        let request = json!({"target": {"service": service}, "method": method, "args": args});
        self.grpc.unary(&format!("{DYNAMIC}/Call"), request).await
    }

    /// The id of a new bell.
    async fn make(&self, label: &str) -> String {
        let made = self.call("Bells", "make", json!([{"stringValue": label}]));
        let mut made = made.await.ok();
        serde_json::from_value(made["value"]["objectValue"]["id"].take()).unwrap()
    }

    async fn text(&self, method: &str, args: Value) -> Value {
        let reply = self.call("Visitors", method, args).await;
        reply.ok()["value"]["stringValue"].take()
    }

    /// How many uses of each object there are.
    async fn uses(&self) -> Vec<u64> {
        let list = self
            .grpc
            .unary("qi.gateway.v1.ObjectService/List", json!({}));
        let list = list.await.ok();
        let objects = list["objects"].as_array().cloned().unwrap_or_default();
        let uses = objects
            .iter()
            .map(|object| object["uses"].as_u64().unwrap_or(0));
        uses.collect()
    }

    async fn wait_uses(&self, expected: &[u64]) {
        let mut uses = self.uses().await;
        let waiting = async {
            while uses != expected {
                tokio::time::sleep(Duration::from_millis(20)).await;
                uses = self.uses().await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("uses are not {expected:?}");
        }
    }
}

fn object(id: &str) -> Value {
    json!({"objectValue": {"id": id}})
}

#[tokio::test]
async fn an_object_is_used_by_a_service_in_another_process() {
    let belfry = Belfry::new().await;
    let (small, great) = (belfry.make("small").await, belfry.make("great").await);
    let name = belfry.text("use", json!([object(&small)])).await;
    assert_eq!(name, "small");
    // Inside of dynamics and lists, where the schema says nothing or little.
    let name = belfry.text("useAny", json!([object(&great)])).await;
    assert_eq!(name, "great");
    let all = json!([{"listValue": {"items": [object(&small), object(&great)]}}]);
    let mut names = belfry.call("Visitors", "useAll", all).await.ok();
    let items = names["value"]["listValue"]["items"].take();
    let names: Vec<_> = items
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["stringValue"])
        .collect();
    assert_eq!(names, ["small", "great"]);
    // Of the generated schema.
    let request = json!({"arg1": {"id": small}});
    let used = belfry.grpc.unary(&format!("{VISITORS}/Use"), request).await;
    assert_eq!(used.ok()["value"], "small");
    // Nothing is left in use.
    belfry.wait_uses(&[0, 0]).await;
}

#[tokio::test]
async fn a_kept_object_is_in_use_until_it_is_forgotten() {
    let belfry = Belfry::new().await;
    let id = belfry.make("tower").await;
    belfry
        .call("Visitors", "keep", json!([object(&id)]))
        .await
        .ok();
    belfry.wait_uses(&[1]).await;
    assert_eq!(belfry.text("poke", json!([])).await, "tower");
    let set = belfry.call("Visitors", "setVolume", json!([{"intValue": "9"}]));
    assert_eq!(set.await.ok()["value"]["intValue"], "9");

    // Events come through, for as long as they are wanted.
    belfry.call("Visitors", "listen", json!([])).await.ok();
    let request = json!({"target": {"service": "Visitors"}, "signal": "heard"});
    let heard = belfry
        .grpc
        .stream(&format!("{DYNAMIC}/Subscribe"), request)
        .await;
    // The stream is in force once it answers; what is rung before is not heard.
    let rung = async {
        loop {
            belfry
                .call("Bells", "ring", json!([{"intValue": "3"}]))
                .await
                .ok();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let event = tokio::select! {
        event = heard.message() => event,
        () = rung => unreachable!("it rings forever"),
    };
    assert_eq!(event["args"][0]["intValue"], "3");
    heard.cancel().await;

    // Passed on once more by the service, and back to it: two hops, one bell.
    let mut given = belfry.call("Visitors", "give", json!([])).await.ok();
    let again = given["value"]["objectValue"]["id"].take();
    let again = again.as_str().unwrap();
    assert_ne!(again, id);
    assert_eq!(belfry.text("use", json!([object(again)])).await, "tower");
    let released = json!({"objectId": again});
    belfry
        .grpc
        .unary("qi.gateway.v1.ObjectService/Release", released)
        .await
        .ok();

    belfry.call("Visitors", "forget", json!([])).await.ok();
    belfry.wait_uses(&[0]).await;
}

#[tokio::test]
async fn what_ends_lets_go() {
    let belfry = Belfry::new().await;
    let id = belfry.make("tower").await;
    belfry
        .call("Visitors", "keep", json!([object(&id)]))
        .await
        .ok();
    belfry.wait_uses(&[1]).await;

    // Released by the client: the robot's other service holds nothing any more.
    let other = belfry.make("other").await;
    belfry
        .call("Visitors", "keep", json!([object(&other)]))
        .await
        .ok();
    let released = json!({"objectId": other});
    belfry
        .grpc
        .unary("qi.gateway.v1.ObjectService/Release", released)
        .await
        .ok();
    let poked = belfry.call("Visitors", "poke", json!([])).await;
    assert_eq!(poked.code, "UNKNOWN", "{poked:?}");
    assert!(
        poked.message.contains("Socket is not connected"),
        "{poked:?}"
    );

    // The process that holds the other bell is gone.
    let Belfry {
        robot,
        visitors,
        gateway,
        grpc,
    } = belfry;
    visitors.kill();
    let visitors = LibqiService::run("visitors.py", robot.url(), "Again").await;
    let belfry = Belfry {
        robot,
        visitors,
        gateway,
        grpc,
    };
    belfry.wait_uses(&[0]).await;
    belfry.gateway.wait_serving("qi.again.v1.Again").await;
    let used = belfry.call("Again", "use", json!([object(&id)])).await;
    assert_eq!(used.ok()["value"]["stringValue"], "tower");
}

#[tokio::test]
async fn an_object_that_is_not_there_is_named() {
    let belfry = Belfry::new().await;
    let unknown = belfry
        .call("Visitors", "use", json!([object("nope")]))
        .await;
    names(&unknown, "args[0].object_value");
    let request = json!({"arg1": {"id": "nope"}});
    let unknown = belfry.grpc.unary(&format!("{VISITORS}/Use"), request).await;
    names(&unknown, "arg1");
}

/// What is wrong is that field, and nothing was sent.
fn names(reply: &Reply, field: &str) {
    assert_eq!(reply.code, "INVALID_ARGUMENT", "{reply:?}");
    let violation = &reply.detail("google.rpc.BadRequest")["fieldViolations"][0];
    assert_eq!(violation["field"], field, "{reply:?}");
}

#[tokio::test]
async fn objects_end_with_their_robot() {
    let belfry = Belfry::new().await;
    let id = belfry.make("tower").await;
    let keep = json!([object(&id)]);
    belfry.call("Visitors", "keep", keep.clone()).await.ok();
    let url = belfry.robot.url().to_owned();
    let Belfry {
        robot,
        visitors,
        gateway,
        grpc,
    } = belfry;
    drop(robot);
    drop(visitors);
    let robot = LibqiRobot::start(&["--listen", &url]).await;
    let visitors = LibqiService::run("visitors.py", &url, "Visitors").await;
    let belfry = Belfry {
        robot,
        visitors,
        gateway,
        grpc,
    };
    belfry.wait_uses(&[]).await;
    belfry.gateway.wait_serving(VISITORS).await;
    names(
        &belfry.call("Visitors", "keep", keep).await,
        "args[0].object_value",
    );
    let again = belfry.make("again").await;
    assert_eq!(belfry.text("use", json!([object(&again)])).await, "again");
}
