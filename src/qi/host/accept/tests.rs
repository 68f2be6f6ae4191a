use super::*;
use crate::qi::{
    session::CloseReason,
    value::{
        Dynamic, Value,
        codec::{EncodeContext, encode},
    },
    wire::{MessageId, ObjectId, Writer},
};

/// Lets nao in with a secret, gives others a new one.
struct Door;

impl Authenticator for Door {
    fn authenticate(&self, presented: &Presented) -> Verdict {
        match (presented.user.as_deref(), presented.token.as_deref()) {
            (Some("nao"), Some("secret")) => Verdict::Accept,
            (Some("new"), _) => Verdict::NewToken {
                token: "secret".to_owned(),
            },
            _ => Verdict::Refuse {
                reason: "who are you".to_owned(),
            },
        }
    }
}

fn authenticate(id: u32, user: Option<&str>, token: Option<&str>) -> Message {
    let mut map = AuthMap::of(Capabilities::OURS);
    for (name, text) in [(USER, user), (TOKEN, token)] {
        if let Some(text) = text {
            map.insert_text(name, text);
        }
    }
    let payload = map.encode().unwrap();
    Message::new(Kind::Call, MessageId(id), Address::AUTHENTICATE, payload)
}

/// Sends messages, each after the answer to the one before.
async fn knock(messages: Vec<Message>) -> (Vec<Message>, Result<Capabilities, AcceptError>) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let limits = HostLimits::default();
    let server = tokio::spawn(async move {
        let door: Arc<dyn Authenticator> = Arc::new(Door);
        accept(&mut Framed::new(ours, 1 << 16), &limits, Some(&door)).await
    });
    let mut client = Framed::new(theirs, 1 << 16);
    let mut answers = Vec::new();
    for message in messages {
        if client.send(&message).await.is_err() {
            break;
        }
        match client.receive().await {
            Ok(answer) => answers.push(answer),
            Err(_) => break,
        }
    }
    (answers, server.await.unwrap())
}

fn error(answer: &Message) -> &str {
    assert_eq!(answer.kind, Kind::Error);
    std::str::from_utf8(&answer.payload[9..]).unwrap()
}

#[tokio::test]
async fn the_right_secret_opens() {
    let (answers, accepted) = knock(vec![authenticate(1, Some("nao"), Some("secret"))]).await;
    assert_eq!(accepted.unwrap(), Capabilities::OURS);
    let map = AuthMap::decode(&answers[0].payload, &Limits::default()).unwrap();
    assert_eq!(map.state(), Some(3));
    assert_eq!(
        map.flags()
            .filter(|(name, _)| !name.starts_with('_'))
            .count(),
        6
    );
}

/// Python's clients send their credentials as dynamics in dynamics.
#[tokio::test]
async fn the_secret_may_be_wrapped_twice() {
    let wrapped = |text| {
        let inner = Dynamic::new("s".parse().unwrap(), Value::text(text));
        let inner = Value::Dynamic(Box::new(inner));
        Value::Dynamic(Box::new(Dynamic::new("m".parse().unwrap(), inner)))
    };
    let map = Value::Map(vec![
        (Value::text(USER), wrapped("nao")),
        (Value::text(TOKEN), wrapped("secret")),
    ]);
    let ty = "{sm}".parse::<crate::qi::value::Signature>().unwrap();
    let mut writer = Writer::new();
    encode(&map, ty.ty(), &mut EncodeContext::default(), &mut writer).unwrap();
    let payload = writer.finish();
    let call = Message::new(Kind::Call, MessageId(1), Address::AUTHENTICATE, payload);
    let (_, accepted) = knock(vec![call]).await;
    assert_eq!(accepted.unwrap(), Capabilities::default());
}

#[tokio::test]
async fn the_wrong_secret_is_refused_with_an_error() {
    let (answers, accepted) = knock(vec![authenticate(1, Some("nao"), None)]).await;
    assert!(matches!(accepted, Err(AcceptError::Refused)));
    assert_eq!(error(&answers[0]), "Authentication failed: who are you");
}

#[tokio::test]
async fn a_new_secret_is_given_once_and_attempts_are_bounded() {
    let knocks = vec![
        authenticate(1, Some("new"), None),
        authenticate(2, Some("nao"), Some("secret")),
    ];
    let (answers, accepted) = knock(knocks).await;
    accepted.unwrap();
    let maps = answers.iter().map(|answer| {
        let map = AuthMap::decode(&answer.payload, &Limits::default()).unwrap();
        (map.state(), map.text(NEW_TOKEN), map.flags().count() > 2)
    });
    let secret = Some("secret".to_owned());
    let expected = [(Some(2), secret, true), (Some(3), None, false)];
    assert_eq!(maps.collect::<Vec<_>>(), expected);

    let knocks = (1..=5).map(|id| authenticate(id, Some("new"), None));
    let (answers, accepted) = knock(knocks.collect()).await;
    assert!(matches!(accepted, Err(AcceptError::Refused)));
    assert_eq!(answers.len(), 3);
    assert_eq!(
        error(&answers[2]),
        "Authentication failed: too many attempts"
    );
}

#[tokio::test]
async fn nothing_else_opens_a_door_with_a_lock() {
    let address = Address::new(ServiceId::SERVER, ObjectId::NONE, Default::default());
    let call = Message::new(Kind::Call, MessageId(1), address, Bytes::new());
    let other = Address::new(ServiceId(2), ObjectId::MAIN, Default::default());
    let early = Message::new(Kind::Call, MessageId(2), other, Bytes::new());
    let (answers, accepted) = knock(vec![early, call]).await;
    assert!(matches!(accepted, Err(AcceptError::Refused)));
    assert_eq!(error(&answers[0]), UNHANDLED_CALL);
    assert_eq!(
        error(&answers[1]),
        "Expected authentication (service #0, type #1, action #8), received service #0, type #1, \
         action #0"
    );
}

#[tokio::test]
async fn a_map_that_is_none_closes() {
    let payload = Bytes::from_static(&[5, 0, 0, 0, 1]);
    let call = Message::new(Kind::Call, MessageId(1), Address::AUTHENTICATE, payload);
    let (answers, accepted) = knock(vec![call]).await;
    assert!(answers.is_empty());
    assert!(matches!(accepted, Err(AcceptError::Malformed(_))));
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_let_go() {
    let (ours, _theirs) = tokio::io::duplex(64);
    let limits = HostLimits::default();
    let accepted = accept(&mut Framed::new(ours, 1 << 16), &limits, None).await;
    assert!(matches!(accepted, Err(AcceptError::TimedOut)));
}

#[tokio::test]
async fn who_leaves_is_gone() {
    let (ours, theirs) = tokio::io::duplex(64);
    drop(theirs);
    let accepted = accept(
        &mut Framed::new(ours, 1 << 16),
        &HostLimits::default(),
        None,
    )
    .await;
    assert!(matches!(
        accepted,
        Err(AcceptError::Closed(CloseReason::Peer))
    ));
}
