//! gRPC clients of other implementations, without generated code: they learn the schema through
//! server reflection.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    PATIENCE,
    json_peer::{Answers, JsonPeer},
    process::Process,
    tools::{node_command, python_command},
};

/// A client in Python (grpcio, reflection v1alpha) or Node (grpc-js, reflection v1).
pub(crate) struct GrpcClient {
    peer: JsonPeer,
}

/// How a call ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reply {
    /// The name of the status code: `OK`, `UNKNOWN`, …
    pub(crate) code: String,
    /// The text of the status.
    pub(crate) message: String,
    /// The message in JSON, null unless the code is `OK`.
    pub(crate) response: Value,
    /// The google.rpc details of an error, each with its `@type` (Python only).
    pub(crate) details: Vec<Value>,
}

impl GrpcClient {
    /// A client in Python for the server at `HOST:PORT`.
    pub(crate) async fn python(address: &str) -> Self {
        let mut command = python_command("grpc_client.py");
        let peer = JsonPeer::start("Python gRPC client", command.arg(address)).await;
        Self { peer }
    }

    /// A client in Node for the server at `HOST:PORT`.
    pub(crate) async fn node(address: &str) -> Self {
        let mut command = node_command("client.cjs");
        let peer = JsonPeer::start("Node gRPC client", command.arg(address)).await;
        Self { peer }
    }

    /// Calls `package.Service/Method` with a request in JSON.
    pub(crate) async fn unary(&self, method: &str, request: Value) -> Reply {
        self.unary_with(method, request, json!({}), None).await
    }

    /// Calls with metadata and a deadline.
    pub(crate) async fn unary_with(
        &self,
        method: &str,
        request: Value,
        metadata: Value,
        deadline: Option<Duration>,
    ) -> Reply {
        let command = command("unary", method, &request, &metadata, deadline);
        self.reply(self.peer.request(command).await)
    }

    /// Starts a call without waiting for its reply, which is the only answer.
    pub(crate) fn start_unary(&self, method: &str, request: Value) -> PendingReply<'_> {
        let command = command("unary", method, &request, &json!({}), None);
        let answers = self.peer.send(command);
        PendingReply {
            client: self,
            answers,
        }
    }

    /// Starts a call that streams; returns once the server has accepted it, which it shows by its
    /// headers.
    ///
    /// # Panics
    /// When the stream ends before that.
    pub(crate) async fn stream(&self, method: &str, request: Value) -> GrpcStream<'_> {
        self.stream_with(method, request, json!({})).await
    }

    /// The same with metadata.
    pub(crate) async fn stream_with(
        &self,
        method: &str,
        request: Value,
        metadata: Value,
    ) -> GrpcStream<'_> {
        let command = command("stream", method, &request, &metadata, None);
        let answers = self.peer.send(command);
        let first = answers.next().await;
        assert!(first.get("headers").is_some(), "{method}: {first}");
        GrpcStream {
            client: self,
            answers,
        }
    }

    /// Starts a call that streams both ways with its first message.
    pub(crate) fn talk(&self, method: &str, first: Value) -> GrpcTalk<'_> {
        self.talk_with(method, first, json!({}))
    }

    /// The same with metadata.
    pub(crate) fn talk_with(&self, method: &str, first: Value, metadata: Value) -> GrpcTalk<'_> {
        let mut command = command("talk", method, &Value::Null, &metadata, None);
        command["requests"] = json!([first]);
        GrpcTalk {
            client: self,
            answers: self.peer.send(command),
        }
    }

    /// The process itself.
    pub(crate) fn process(&self) -> &Process {
        self.peer.process()
    }

    /// Ends the client with SIGKILL, as a crash would.
    pub(crate) fn kill(mut self) {
        self.peer.kill();
    }

    /// The services that reflection lists.
    pub(crate) async fn services(&self) -> Vec<String> {
        let mut answer = self.peer.request(json!({"op": "services"})).await;
        serde_json::from_value(answer["services"].take())
            .unwrap_or_else(|_| self.peer.process().fail(format!("{answer}")))
    }

    /// Forgets every schema, so that the next call asks for it again.
    pub(crate) async fn refresh(&self) {
        self.peer.request(json!({"op": "refresh"})).await;
    }

    async fn cancel(&self, answers: &Answers<'_>) {
        let command = json!({"op": "cancel", "call": answers.id()});
        self.peer.request(command).await;
    }

    fn reply(&self, mut answer: Value) -> Reply {
        let Some(code) = answer["code"].as_str().map(str::to_owned) else {
            // The client could not make the call: no reflection, no such method, a bad request.
            self.peer.process().fail(format!("no status: {answer}"));
        };
        Reply {
            code,
            message: answer["message"].as_str().unwrap_or_default().to_owned(),
            response: answer["response"].take(),
            details: answer["details"].as_array().cloned().unwrap_or_default(),
        }
    }
}

impl Reply {
    /// The response of a call that must have succeeded.
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.code, "OK", "{self:#?}");
        self.response
    }

    /// The first detail of that type, such as `google.rpc.ErrorInfo`.
    pub(crate) fn detail(&self, name: &str) -> &Value {
        self.details
            .iter()
            .find(|detail| detail["@type"] == name)
            .unwrap_or_else(|| panic!("no {name} in {self:#?}"))
    }
}

/// A call whose reply was not awaited yet.
pub(crate) struct PendingReply<'a> {
    client: &'a GrpcClient,
    answers: Answers<'a>,
}

impl PendingReply<'_> {
    /// Waits for the reply.
    pub(crate) async fn reply(&self) -> Reply {
        self.client.reply(self.answers.next().await)
    }

    /// Cancels the call.
    pub(crate) async fn cancel(&self) {
        self.client.cancel(&self.answers).await;
    }

    /// The reply if it is there already or comes in that time.
    pub(crate) async fn reply_within(&self, timeout: Duration) -> Option<Reply> {
        let answer = self.answers.next_within(timeout).await?;
        Some(self.client.reply(answer))
    }
}

/// A stream of messages that the server has accepted.
pub(crate) struct GrpcStream<'a> {
    client: &'a GrpcClient,
    answers: Answers<'a>,
}

impl GrpcStream<'_> {
    /// The next message.
    ///
    /// # Panics
    /// When the stream ends instead.
    pub(crate) async fn message(&self) -> Value {
        let mut answer = self.answers.next().await;
        assert!(answer.get("response").is_some(), "{answer}");
        answer["response"].take()
    }

    /// The next message if one comes in that time.
    ///
    /// # Panics
    /// When the stream ends instead.
    pub(crate) async fn message_within(&self, timeout: Duration) -> Option<Value> {
        let mut answer = self.answers.next_within(timeout).await?;
        assert!(answer.get("response").is_some(), "{answer}");
        Some(answer["response"].take())
    }

    /// How the stream ended.
    ///
    /// # Panics
    /// When another message comes.
    pub(crate) async fn end(&self) -> Reply {
        self.client.reply(self.answers.next().await)
    }

    /// Cancels the stream and waits for its end.
    pub(crate) async fn cancel(self) {
        self.client.cancel(&self.answers).await;
        while self.answers.next().await.get("code").is_none() {}
    }
}

/// A call that streams both ways.
pub(crate) struct GrpcTalk<'a> {
    client: &'a GrpcClient,
    answers: Answers<'a>,
}

impl GrpcTalk<'_> {
    /// Sends one more message.
    pub(crate) async fn say(&self, request: Value) {
        let command = json!({"op": "say", "call": self.answers.id(), "request": request});
        self.client.peer.request(command).await;
    }

    /// Says that there are no more messages.
    pub(crate) async fn hush(&self) {
        let command = json!({"op": "hush", "call": self.answers.id()});
        self.client.peer.request(command).await;
    }

    /// The next message of the server.
    ///
    /// # Panics
    /// When the stream ends instead.
    pub(crate) async fn message(&self) -> Value {
        let Some(message) = self.message_within(PATIENCE).await else {
            panic!("no message within {PATIENCE:?}");
        };
        message
    }

    /// The next message of the server if one comes in that time.
    ///
    /// # Panics
    /// When the stream ends instead.
    pub(crate) async fn message_within(&self, timeout: Duration) -> Option<Value> {
        let mut answer = self.answer_within(timeout).await?;
        assert!(answer.get("response").is_some(), "{answer}");
        Some(answer["response"].take())
    }

    /// How the stream ended.
    ///
    /// # Panics
    /// When another message comes.
    pub(crate) async fn end(&self) -> Reply {
        let Some(answer) = self.answer_within(PATIENCE).await else {
            panic!("no end within {PATIENCE:?}");
        };
        self.client.reply(answer)
    }

    /// How the stream ended, whatever came before.
    pub(crate) async fn end_at_last(&self) -> Reply {
        loop {
            match self.answer_within(PATIENCE).await {
                Some(answer) if answer.get("response").is_none() => {
                    return self.client.reply(answer);
                }
                Some(_) => {}
                None => panic!("no end within {PATIENCE:?}"),
            }
        }
    }

    /// Cancels the call and waits for its end.
    pub(crate) async fn cancel(self) {
        self.client.cancel(&self.answers).await;
        while self.answers.next().await.get("code").is_none() {}
    }

    /// What comes next after the headers.
    async fn answer_within(&self, timeout: Duration) -> Option<Value> {
        loop {
            let answer = self.answers.next_within(timeout).await?;
            if answer.get("headers").is_none() {
                return Some(answer);
            }
        }
    }
}

fn command(
    op: &str,
    method: &str,
    request: &Value,
    metadata: &Value,
    deadline: Option<Duration>,
) -> Value {
    json!({
        "op": op,
        "method": format!("/{method}"),
        "request": request,
        "metadata": metadata,
        "timeout": deadline.map(|deadline| deadline.as_secs_f64()),
    })
}
