//! A gRPC server that has the answers itself: what tonic's generated code for the same API is.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::SocketAddr,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use tokio::{net::TcpListener, task::JoinSet};
use tonic::{
    Status,
    body::Body,
    server::{Grpc, NamedService, UnaryService},
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

use super::messages::{
    ANGLES_PATH, AnglesRequest, AnglesResponse, ECHO_PATH, EchoRequest, EchoResponse,
};

pub(crate) async fn serve(servers: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    servers.spawn(async move {
        Server::builder()
            .add_service(Bench)
            .serve_with_incoming(incoming)
            .await
            .expect("a server");
    });
    address
}

#[derive(Clone)]
struct Bench;

impl NamedService for Bench {
    const NAME: &'static str = "qi.bench.v1.Bench";
}

impl tower::Service<Request<Body>> for Bench {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match request.uri().path() {
            ECHO_PATH => Box::pin(async move {
                let mut grpc = Grpc::new(ProstCodec::default());
                Ok(grpc.unary(Echo, request).await)
            }),
            ANGLES_PATH => Box::pin(async move {
                let mut grpc = Grpc::new(ProstCodec::default());
                Ok(grpc.unary(Angles, request).await)
            }),
            path => {
                let status = Status::unimplemented(path);
                Box::pin(async move { Ok(status.into_http()) })
            }
        }
    }
}

struct Echo;

impl UnaryService<EchoRequest> for Echo {
    type Response = EchoResponse;
    type Future = Ready<Result<tonic::Response<EchoResponse>, Status>>;

    fn call(&mut self, request: tonic::Request<EchoRequest>) -> Self::Future {
        let value = request.into_inner().arg1;
        ready(Ok(tonic::Response::new(EchoResponse { value })))
    }
}

struct Angles;

impl UnaryService<AnglesRequest> for Angles {
    type Response = AnglesResponse;
    type Future = Ready<Result<tonic::Response<AnglesResponse>, Status>>;

    fn call(&mut self, request: tonic::Request<AnglesRequest>) -> Self::Future {
        let value = request.into_inner().arg2;
        ready(Ok(tonic::Response::new(AnglesResponse { value })))
    }
}
