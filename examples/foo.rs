//! The service `foo` of the libqi guide: `cargo run --example foo -- --qi-url tcp://robot:9559`.
//!
//! `bar` blocks a thread, and a service runs its methods one after the other unless it is built with
//! `Threading::Multi`. `betterBar` gives a future, so that other calls run while it waits.

use std::{env, error::Error, thread, time::Duration};

use qi_grpc_gateway::qi::{
    application::{Application, ApplicationOptions},
    host::{Method, ObjectBuilder},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().collect();
    let application = Application::start(ApplicationOptions::from_args(&mut args)?).await?;

    let mut object = ObjectBuilder::new();
    let on_bang = object.typed_signal::<(i32,)>("onBang")?;
    object.method(Method::blocking("bang", move || on_bang.emit((42,))))?;
    object.method(Method::blocking("bar", |delay: f64| {
        thread::sleep(Duration::from_secs_f64(delay));
        delay
    }))?;
    object.method(Method::deferred("betterBar", |delay: f64| async move {
        tokio::time::sleep(Duration::from_secs_f64(delay)).await;
        delay
    }))?;

    let service = application.publish("foo", &object.build()?);
    println!("foo is service {}", service.registered().await?);
    tokio::signal::ctrl_c().await?;
    service.leave().await?;
    Ok(())
}
