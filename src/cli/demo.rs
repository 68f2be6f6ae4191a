//! `qi-grpc-gateway demo`

use std::net::SocketAddr;

use clap::{Args, ValueEnum};

use super::{
    Failure,
    serve::{announce, bind},
    signals,
};
use crate::{
    app::{App, Config},
    bridge::RobotConfig,
    demo::{DemoConfig, DemoError, DemoRobot, RobotModel},
    gateway::GatewayConfig,
    qi::session::Endpoint,
};

/// What `demo` takes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where gRPC clients connect; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    listen: SocketAddr,

    /// Where the robot's bus listens, for clients of libqi; port 0 takes a free one.
    #[arg(long, value_name = "URL", default_value = "tcp://127.0.0.1:9559")]
    qi_listen: String,

    /// Which robot it is.
    #[arg(long, value_enum, default_value_t = Model::Nao)]
    robot: Model,

    /// Leave out the service `foo`, to host it yourself: see docs/hosting.md.
    #[arg(long)]
    without_foo: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Model {
    Nao,
    Pepper,
}

impl From<Model> for RobotModel {
    fn from(model: Model) -> Self {
        match model {
            Model::Nao => Self::Nao,
            Model::Pepper => Self::Pepper,
        }
    }
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let stop = signals::stop().map_err(|error| Failure::new(&error))?;
    let robot = DemoRobot::start(DemoConfig {
        model: arguments.robot.into(),
        qi_listen: Some(vec![arguments.qi_listen]),
        without_foo: arguments.without_foo,
    })
    .await
    .map_err(|error| {
        let failure = Failure::new(&error);
        match error {
            DemoError::Start { .. } => failure.hint(
                "A robot or another demo listens there; choose another with --qi-listen, \
                 such as tcp://127.0.0.1:0.",
            ),
            _ => failure,
        }
    })?;
    let url: Endpoint = robot.url().parse().map_err(|error| Failure::new(&error))?;
    let config = Config::new(RobotConfig::new(url), GatewayConfig::new(arguments.listen));
    let app = bind(config).await?;
    announce(&app);
    println!("qi    {}", robot.url());
    match arguments.without_foo {
        false => print_what_next(&app, robot.url()),
        true => print_how_to_host(&app, robot.url()),
    }
    let served = app.run(stop).await;
    robot.shutdown().await;
    served.map_err(|error| Failure::new(&error))
}

fn print_what_next(app: &App, qi_url: &str) {
    let grpc = app.local_addr();
    println!(
        "
Now, in another terminal:

  grpcurl -plaintext {grpc} list
  grpcurl -plaintext {grpc} describe qi.foo.v1.Foo
  grpcurl -plaintext -d '{{\"delay\": 0.5}}' {grpc} qi.foo.v1.Foo/BetterBar

a signal, and what emits it:

  grpcurl -plaintext {grpc} qi.foo.v1.Foo/SubscribeOnBang
  grpcurl -plaintext {grpc} qi.foo.v1.Foo/Bang

the same robot with libqi (pip install qi):

  python3 -c 'import qi; s = qi.Session(); s.connect(\"{qi_url}\"); print(s.service(\"foo\").betterBar(0.5))'

Ctrl-C ends it."
    );
}

fn print_how_to_host(app: &App, qi_url: &str) {
    let grpc = app.local_addr();
    println!(
        "
There is no service foo. Host it, in another terminal, with one of

  python3 examples/hosting/foo.py {grpc}
  node examples/hosting/foo.mjs {grpc}
  cargo run --example foo -- --qi-url {qi_url}

and call it, in a third:

  grpcurl -plaintext -d '{{\"arg1\": 0.5}}' {grpc} qi.foo.v1.Foo/BetterBar

Ctrl-C ends it."
    );
}
