//! Where applications listen.

use super::*;

async fn doors(listen: &[&str], advertise: &[&str]) -> (Arc<Host>, Doors) {
    let mut options = ApplicationOptions {
        listen: listen.iter().map(|&url| url.to_owned()).collect(),
        ..ApplicationOptions::default()
    };
    options.host.advertise = advertise.iter().map(|&url| url.to_owned()).collect();
    let host = Arc::new(Host::new(options.host.clone()));
    let doors = Doors::open(&host, &options).await.unwrap();
    (host, doors)
}

#[tokio::test]
async fn nothing_is_listened_on_until_the_directory_is_reached() {
    let (host, doors) = doors(&[], &[]).await;
    assert!(host.endpoints().is_empty());
    assert!(!doors.told);
}

#[tokio::test]
async fn what_was_told_is_listened_on_at_once() {
    let (host, doors) = doors(&["tcp://127.0.0.1:0"], &[]).await;
    let endpoints = host.endpoints();
    let [endpoint] = &*endpoints else {
        panic!("one endpoint: {endpoints:?}");
    };
    assert!(endpoint.starts_with("tcp://127.0.0.1:"), "{endpoint}");
    assert!(doors.told && doors.everywhere.is_empty());

    let options = ApplicationOptions {
        listen: vec![endpoint.clone()],
        ..ApplicationOptions::default()
    };
    let error = Application::start(options).await.unwrap_err();
    assert!(matches!(error, HostError::Listen { .. }), "{error:?}");
}

#[tokio::test]
async fn all_interfaces_are_loopback_until_the_directory_is_reached() {
    for url in ["tcp://0.0.0.0:0", "tcp://[::]:0"] {
        let (host, doors) = doors(&[url], &[]).await;
        let port = doors.everywhere[0].port();
        assert_eq!(host.endpoints(), [format!("tcp://127.0.0.1:{port}")]);
        // What the user advertises is enough.
        let (host, doors) = self::doors(&[url], &["tcp://robot.local:7"]).await;
        assert!(doors.everywhere.is_empty());
        assert_eq!(host.endpoints(), ["tcp://robot.local:7"]);
    }
}
