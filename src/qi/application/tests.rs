//! Where applications listen.

use super::*;

#[tokio::test]
async fn an_address_that_is_in_use_is_told_at_the_start() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = ApplicationOptions {
        listen: vec![format!("tcp://{}", taken.local_addr().unwrap())],
        ..ApplicationOptions::default()
    };
    let error = Application::start(options).await.unwrap_err();
    assert!(matches!(error, HostError::Listen { .. }), "{error:?}");
}
