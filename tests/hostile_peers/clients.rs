//! gRPC clients that mean harm.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    robot::Robot,
    rpc::{SAMPLE, Served, reason},
    support::PATIENCE,
};

async fn setting() -> (Robot, Served) {
    let robot = Robot::proper().await;
    let served = Served::new(&robot.url()).await;
    served.gateway.wait_serving(SAMPLE).await;
    (robot, served)
}

/// What every HTTP/2 client says first, and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn bytes_that_are_no_http2_end_their_connection_alone() {
    let (_robot, served) = setting().await;
    let noise: Vec<u8> = (0..65_536_u32).map(|n| (n * n % 251) as u8).collect();
    let hello = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec();
    let after_preface = [PREFACE, &noise].concat();
    // A frame of 16 MiB - 1, of which nothing follows but its header.
    let huge = [PREFACE, b"\xff\xff\xff\0\0\0\0\0\x01"].concat();
    let cases = [
        ("noise", noise),
        ("a TLS hello", [hello, vec![0; 512]].concat()),
        ("noise after the preface", after_preface),
        ("a huge frame", huge),
        (
            "HTTP/1.1",
            b"GET / HTTP/1.1\r\nhost: robot\r\n\r\n".to_vec(),
        ),
    ];
    for (case, bytes) in cases {
        let mut stream = TcpStream::connect(served.gateway.address()).await.unwrap();
        // The gateway may hang up before all is sent.
        let _ = stream.write_all(&bytes).await;
        let mut answer = Vec::new();
        let ended = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{case}: the connection stays");
        served.serves(case).await;
    }
}

/// Header blocks that never end: HEADERS without END_HEADERS, then CONTINUATION for ever.
#[tokio::test]
async fn headers_without_end_are_cut_off() {
    let (_robot, served) = setting().await;
    let mut stream = TcpStream::connect(served.gateway.address()).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let mut header = vec![0, 0x40, 0, 1, 0, 0, 0, 0, 1];
    // A literal header that is not indexed, of 127 bytes of name and value together.
    let field = [&[0, 63][..], &[b'a'; 63], &[61], &[b'b'; 61]].concat();
    let block: Vec<u8> = field.iter().copied().cycle().take(0x4000).collect();
    header.extend_from_slice(&block);
    let sending = async {
        write.write_all(&header).await?;
        header[3] = 9;
        loop {
            write.write_all(&header).await?;
        }
        #[allow(unreachable_code, reason = "tells the type")]
        Ok::<(), std::io::Error>(())
    };
    let mut answer = Vec::new();
    let hung_up = async {
        tokio::select! {
            failed = sending => failed.map(|()| 0),
            ended = read.read_to_end(&mut answer) => ended,
        }
    };
    let ended = timeout(PATIENCE, hung_up).await;
    assert!(ended.is_ok(), "the gateway reads on");
    served.serves("headers without end").await;
}

/// A connection on which anything can be said.
pub(crate) struct Raw(h2::client::SendRequest<Bytes>);

impl Raw {
    pub(crate) async fn connect(served: &Served) -> Self {
        let stream = TcpStream::connect(served.gateway.address()).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    /// Sends a request with a body in one piece; gives the answer and its trailers.
    pub(crate) async fn send(&self, request: Request<()>, body: impl Into<Bytes>) -> Answer {
        let mut sender = self.0.clone().ready().await.unwrap();
        let (response, mut stream) = sender.send_request(request, false).unwrap();
        // Refused early, the body is not taken any more.
        let _ = stream.send_data(body.into(), true);
        let response = timeout(PATIENCE, response).await.expect("no answer");
        let (head, mut body) = response.unwrap().into_parts();
        while let Some(data) = body.data().await {
            let data = data.unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
        }
        Answer {
            trailers: body.trailers().await.unwrap().unwrap_or_default(),
            head: Response::from_parts(head, ()),
        }
    }
}

pub(crate) struct Answer {
    head: Response<()>,
    trailers: HeaderMap,
}

impl Answer {
    /// The gRPC status, wherever it stands.
    pub(crate) fn grpc_status(&self) -> Option<tonic::Code> {
        let here = self.trailers.get("grpc-status");
        let status = here.or_else(|| self.head.headers().get("grpc-status"))?;
        Some(tonic::Code::from_bytes(status.as_bytes()))
    }
}

pub(crate) fn request(path: &str) -> http::request::Builder {
    Request::post(format!("http://gateway{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

#[tokio::test]
async fn messages_that_are_none_get_their_status() {
    use tonic::Code::{InvalidArgument, ResourceExhausted, Unimplemented};
    let (robot, served) = setting().await;
    let raw = Raw::connect(&served).await;
    let say = format!("/{SAMPLE}/Say");
    let cases: [(&str, &[u8], tonic::Code); 8] = [
        (&say, b"\0\xff\xff\xff\xff", ResourceExhausted),
        (&say, b"\0\x01\0\0\x01", ResourceExhausted),
        (&say, b"\x01\0\0\0\0", Unimplemented),
        (&say, b"\0\0\0\0\x02\x0a\x05", InvalidArgument),
        (&say, b"\0\0\0\0\x05\x0a", InvalidArgument),
        (&say, b"", InvalidArgument),
        (&say, b"\0\0\0\0\0\0\0\0\0\0", InvalidArgument),
        (
            &format!("/{SAMPLE}/SubscribeHeard"),
            b"\0\0\0\0\x02\x0a\x05",
            InvalidArgument,
        ),
    ];
    for (path, body, code) in cases {
        let answer = raw.send(request(path).body(()).unwrap(), body).await;
        assert_eq!(answer.head.status(), StatusCode::OK, "{body:02x?}");
        assert_eq!(answer.grpc_status(), Some(code), "{path} {body:02x?}");
    }
    assert_eq!(robot.said(), 0, "nothing of it reached the robot");
    served.serves("messages that are none").await;
}

#[tokio::test]
async fn paths_that_lead_nowhere_are_unimplemented() {
    let (_robot, served) = setting().await;
    let raw = Raw::connect(&served).await;
    for path in [
        "/",
        "/qi.nope.v1.Nope/Say",
        "/qi.sample.v1.Sample/Nope",
        "/qi.sample.v1.Sample",
        "/qi.sample.v1.Sample/Say/",
        "/grpc.health.v1.Health/Nope",
        "/%ff/%00",
    ] {
        let answer = raw
            .send(request(path).body(()).unwrap(), &b"\0\0\0\0\0"[..])
            .await;
        assert_eq!(answer.head.status(), StatusCode::OK, "{path}");
        let content_type = &answer.head.headers()["content-type"];
        assert_eq!(content_type, "application/grpc", "{path}");
        assert_eq!(
            answer.grpc_status(),
            Some(tonic::Code::Unimplemented),
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_is_no_grpc_is_answered_by_http() {
    let (robot, served) = setting().await;
    let raw = Raw::connect(&served).await;
    let url = format!("http://gateway/{SAMPLE}/Say");
    let json = Request::post(&url).header("content-type", "application/json");
    let web = Request::post(&url).header("content-type", "application/grpc-web+proto");
    let cases = [
        (json, StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (web, StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (Request::post(&url), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (Request::get(&url), StatusCode::METHOD_NOT_ALLOWED),
    ];
    for (request, status) in cases {
        let answer = raw
            .send(request.body(()).unwrap(), &b"\0\0\0\0\0"[..])
            .await;
        assert_eq!(answer.head.status(), status);
    }
    let kind = request(&format!("/{SAMPLE}/Say")).body(()).unwrap();
    let answer = raw.send(kind, &b"\0\0\0\0\0"[..]).await;
    assert_eq!(answer.grpc_status(), Some(tonic::Code::Ok));
    assert_eq!(robot.said(), 1);
}

#[tokio::test]
async fn streams_of_a_client_that_vanishes_leave_the_robot() {
    let (robot, served) = setting().await;
    let stream = TcpStream::connect(served.gateway.address()).await.unwrap();
    let (sender, connection) = h2::client::Builder::new()
        .handshake::<_, Bytes>(stream)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let mut open = Vec::new();
    for rpc in ["SubscribeHeard", "SubscribeSeen", "SubscribeHeard"] {
        let mut sender = sender.clone().ready().await.unwrap();
        let request = request(&format!("/{SAMPLE}/{rpc}")).body(()).unwrap();
        let (response, mut body) = sender.send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(b"\0\0\0\0\0"), true)
            .unwrap();
        open.push(timeout(PATIENCE, response).await.unwrap().unwrap());
    }
    robot.registrations(2).await;
    // The socket closes without a word.
    connection.abort();
    robot.registrations(0).await;
    served.serves("a client that vanishes").await;
}

/// A client that calls and resets at once, and one that never sends what it announced.
#[tokio::test]
async fn calls_that_are_given_up_cost_nothing() {
    let (_robot, served) = setting().await;
    let raw = Raw::connect(&served).await;
    let mut unfinished = Vec::new();
    for _ in 0..200 {
        let mut sender = raw.0.clone().ready().await.unwrap();
        let call = request(&format!("/{SAMPLE}/Say"))
            .header("grpc-timeout", "100m")
            .body(())
            .unwrap();
        let (response, mut body) = sender.send_request(call, false).unwrap();
        body.send_data(Bytes::from_static(b"\0\0\x01\0\0"), false)
            .unwrap();
        unfinished.push((response, body));
    }
    for (response, _body) in unfinished {
        let answer = timeout(Duration::from_secs(30), response)
            .await
            .unwrap()
            .unwrap();
        let status = &answer.headers()["grpc-status"];
        assert_eq!(
            tonic::Code::from_bytes(status.as_bytes()),
            tonic::Code::DeadlineExceeded
        );
    }
    served.serves("calls that are given up").await;
}

/// Not hostile, but as stubborn: a stream that nobody ends keeps the gateway for the grace period,
/// and is told why it ends.
#[tokio::test]
async fn a_stream_without_end_is_told_of_the_shutdown() {
    let (robot, served) = setting().await;
    let mut stream = served.subscribe("SubscribeHeard").await.unwrap();
    robot.registrations(1).await;
    let Served { gateway, .. } = served;
    let (finished, end) = tokio::join!(gateway.shut_down(), stream.message());
    let status = end.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
    assert_eq!(reason(&status), "SHUTDOWN");
    assert!(finished.status.success(), "{finished:?}");
}
