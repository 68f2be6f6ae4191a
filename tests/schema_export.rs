//! `schema export`, `snapshot` and `diff`, with the demo's robot and buf.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use prost::Message as _;
use qi_grpc_gateway::{
    demo::{DemoConfig, DemoRobot, foo},
    proto::STATIC_FILES,
    qi::{
        host::{Host, HostOptions},
        session::{DialOptions, Endpoint, Session},
    },
    schema::descriptor::{FileDescriptorProto, FileDescriptorSet},
};
use serde_json::{Value, json};
use support::{Finished, Gateway, buf_in, reflection::Reflected};

/// A robot, and a folder for what is made of it.
struct Setting {
    robot: DemoRobot,
    folder: tempfile::TempDir,
}

impl Setting {
    async fn new() -> Self {
        Self {
            robot: DemoRobot::start(DemoConfig::default()).await.unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command with the robot, that writes to that file or folder.
    async fn run(&self, command: &str, out: &str, args: &[&str]) -> Finished {
        let out = self.path(out);
        let out = ["--out", out.to_str().unwrap()];
        let base = ["schema", command, "--qi-url", self.robot.url()];
        Gateway::run(&[&base[..], &out, args].concat()).await
    }

    /// An export from a snapshot of the folder.
    async fn export_from(&self, snapshot: &str, out: &str, args: &[&str]) -> Finished {
        let (from, out) = (self.path(snapshot), self.path(out));
        let base = ["schema", "export", "--from", from.to_str().unwrap()];
        let out = ["--out", out.to_str().unwrap()];
        Gateway::run(&[&base[..], &out, args].concat()).await
    }

    /// Compares two snapshots of the folder.
    async fn diff(&self, old: &str, new: &str, args: &[&str]) -> Finished {
        let [old, new] = [old, new].map(|it| self.path(it).to_str().unwrap().to_owned());
        Gateway::run(&[&["schema", "diff", &old, &new][..], args].concat()).await
    }

    /// The snapshot of that name with a change in the service `foo`, under another name.
    fn mutate(&self, from: &str, to: &str, change: impl FnOnce(&mut Value)) {
        let text = fs::read(self.path(from)).unwrap();
        let mut json: Value = serde_json::from_slice(&text).unwrap();
        let services = json["services"].as_array_mut().unwrap();
        let mut services = services.iter_mut();
        change(services.find(|it| it["name"] == "foo").unwrap());
        fs::write(self.path(to), json.to_string()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn buf_lints_builds_and_generates_what_reflection_tells() {
    let setting = Setting::new().await;
    setting.run("export", "api", &[]).await.success();
    let api = setting.path("api");
    buf_in(&api, &["lint"]).await.success();
    buf_in(
        &api,
        &["build", "--as-file-descriptor-set", "-o", "../built.binpb"],
    )
    .await
    .success();
    let set = setting.run("export", "own.binpb", &["--format", "descriptor-set"]);
    set.await.success();
    let built = files(&setting.path("built.binpb"));
    let own = files(&setting.path("own.binpb"));
    assert_eq!(
        built.keys().collect::<Vec<_>>(),
        own.keys().collect::<Vec<_>>()
    );

    let gateway = Gateway::serve(setting.robot.url()).await;
    gateway.wait_serving("").await;
    let reflected = Reflected::read(gateway.channel().await).await;
    let generated = reflected.generated();
    assert!(generated.len() > 10);
    for (_, service) in generated {
        let file = service.parent_file();
        let expected = FileDescriptorProto::decode(&file.encode_to_vec()[..]).unwrap();
        let expected = comparable(expected);
        assert_eq!(comparable(built[file.name()].clone()), expected);
        assert_eq!(comparable(own[file.name()].clone()), expected);
    }

    generates(&api).await;
    setting.robot.shutdown().await;
}

/// buf hands all files to a plugin.
async fn generates(api: &Path) {
    let plugin = api.join("plugin.sh");
    // An empty answer is one with no files.
    fs::write(&plugin, "#!/bin/sh\ncat > request.binpb\n").unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
    let plugin = plugin.to_str().unwrap();
    // All at once: buf would start one plugin a folder, each writing the same file.
    let plugin = json!({"local": [plugin], "out": "gen", "strategy": "all"});
    let template = json!({"version": "v2", "plugins": [plugin]});
    buf_in(api, &["generate", "--template", &template.to_string()])
        .await
        .success();
    let request = fs::read(api.join("request.binpb")).unwrap();
    let request = prost_types::compiler::CodeGeneratorRequest::decode(&request[..]).unwrap();
    for file in ["qi/foo/v1/foo.proto", "qi/gateway/v1/value.proto"] {
        assert!(
            request.file_to_generate.contains(&file.to_owned()),
            "{file}"
        );
    }
}

/// The files of an encoded `FileDescriptorSet`.
fn files(path: &Path) -> BTreeMap<String, FileDescriptorProto> {
    let set = FileDescriptorSet::decode(&fs::read(path).unwrap()[..]).unwrap();
    let files = set.file.into_iter().map(|file| {
        let file = FileDescriptorProto::decode(file).unwrap();
        (file.name().to_owned(), file)
    });
    files.collect()
}

/// A file without the places of its elements in a text; their comments stay.
fn comparable(mut file: FileDescriptorProto) -> (FileDescriptorProto, Vec<(Vec<i32>, String)>) {
    let info = file.source_code_info.take().unwrap();
    let comments = info.location.into_iter();
    let mut comments: Vec<_> = comments
        .filter_map(|it| Some((it.path, it.leading_comments?)))
        .collect();
    comments.sort();
    (file, comments)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_says_all_that_the_robot_says() {
    let setting = Setting::new().await;
    setting.run("snapshot", "robot.json", &[]).await.success();
    for args in [
        &[][..],
        &["--expose-private"],
        &["--services", "foo,ALMotion"],
    ] {
        let name = args.concat();
        let (live, kept) = (format!("live{name}"), format!("kept{name}"));
        setting.run("export", &live, args).await.success();
        setting
            .export_from("robot.json", &kept, args)
            .await
            .success();
        let (live, kept) = (texts(&setting.path(&live)), texts(&setting.path(&kept)));
        assert!(live.contains_key("qi/foo/v1/foo.proto"));
        assert_eq!(live, kept);
        if name.contains("foo") {
            let statics = STATIC_FILES.len();
            assert_eq!(live.len(), 2 + statics + 1, "the static API and buf.yaml");
        }
    }

    let text = fs::read_to_string(setting.path("robot.json")).unwrap();
    assert!(text.ends_with("}\n"));
    let args = ["schema", "snapshot", "--qi-url", setting.robot.url()];
    let printed = Gateway::run(&args).await.success();
    assert_eq!(printed, text);

    let snapshot = setting.path("robot.json");
    let args = [
        "schema",
        "diff",
        snapshot.to_str().unwrap(),
        setting.robot.url(),
    ];
    assert_eq!(Gateway::run(&args).await.success(), "");
    setting.robot.shutdown().await;
}

/// All files below a folder.
fn texts(root: &Path) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                texts.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diff_says_whether_clients_break() {
    let setting = Setting::new().await;
    setting.run("snapshot", "old.json", &[]).await.success();
    setting.mutate("old.json", "more.json", |foo| {
        let new = json!({"uid": 900, "name": "rest", "parametersSignature": "()", "returnSignature": "v"});
        foo["methods"].as_array_mut().unwrap().push(new);
    });
    let told = setting.diff("old.json", "more.json", &[]).await;
    assert_eq!(told.status.code(), Some(0), "{told:#?}");
    assert_eq!(
        told.stdout,
        "qi.foo.v1.Foo (qi service \"foo\")\n  + rpc Rest (qi: method rest() -> v)\n"
    );

    let told = setting
        .diff("more.json", "old.json", &["--format", "json"])
        .await;
    assert_eq!(told.status.code(), Some(1), "{told:#?}");
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    let removed = json!({
        "element": "rpc", "name": "Rest", "qi": "method rest() -> v", "change": "removed",
        "breaking": true,
    });
    let foo = json!({"service": "qi.foo.v1.Foo", "qiService": "foo", "changes": [removed]});
    assert_eq!(told, json!({"breaking": true, "services": [foo]}));

    setting.mutate("old.json", "other.json", |foo| {
        // Every object has signals of its own in front of those of the service.
        let signals = foo["signals"].as_array_mut().unwrap();
        let bang = signals.iter_mut().find(|it| it["name"] == "onBang");
        bang.unwrap()["signature"] = "(s)".into();
    });
    let told = setting
        .diff("old.json", "other.json", &["--services", "foo"])
        .await;
    assert_eq!(told.status.code(), Some(1), "{told:#?}");
    let told = setting
        .diff("old.json", "other.json", &["--services", "ALMotion"])
        .await;
    assert_eq!((told.status.code(), told.stdout.as_str()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_their_own_exit_code_in_a_diff() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = file("good.json", r#"{"services": []}"#);
    let bad = file(
        "bad.json",
        r#"{"services": [{"name": "foo", "methods": 3}]}"#,
    );
    let missing = folder.path().join("missing.json");
    for (new, named) in [
        (bad.as_str(), "services[0].methods: a list expected"),
        (missing.to_str().unwrap(), "missing.json"),
        ("http://nao.local", "unknown scheme"),
        ("tcp://127.0.0.1:1", "127.0.0.1:1"),
    ] {
        let told = Gateway::run(&["schema", "diff", &good, new]).await;
        assert_eq!(told.status.code(), Some(2), "{told:#?}");
        assert!(told.stderr.contains(named), "{told:#?}");
    }
    let told = Gateway::run(&["schema", "diff", &good, &good, "--services", "foo"]).await;
    assert_eq!(told.status.code(), Some(2), "{told:#?}");
    let help = Gateway::run(&["schema", "diff", "--help"]).await.success();
    assert!(help.contains("0 clients of OLD go on with NEW, 1 they break, 2 an error"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_cannot_be_reached_is_named() {
    let setting = Setting::new().await;
    let host = Host::listen(
        "tcp://127.0.0.1:0",
        HostOptions {
            advertise: vec![format!("tcp://127.0.0.1:{}", unused_port())],
            ..HostOptions::default()
        },
    );
    let host = host.await.unwrap();
    let url: Endpoint = setting.robot.url().parse().unwrap();
    let options = DialOptions {
        dispatch: host.dispatch(),
        ..DialOptions::default()
    };
    let session = Session::connect(&url, options).await.unwrap();
    let lost = foo::build().unwrap();
    let _registered = host.register(&session, "Lost", &lost).await.unwrap();

    let told = setting.run("snapshot", "robot.json", &[]).await;
    assert_eq!(told.status.code(), Some(1), "{told:#?}");
    assert!(
        told.stderr.contains("service \"Lost\" cannot be reached"),
        "{told:#?}"
    );
    assert!(!setting.path("robot.json").exists());

    let told = setting
        .run("snapshot", "robot.json", &["--skip-unreachable"])
        .await;
    assert!(
        told.stderr.contains("service \"Lost\" cannot be reached"),
        "{told:#?}"
    );
    told.success();
    let text = fs::read_to_string(setting.path("robot.json")).unwrap();
    assert!(text.contains(r#""name": "foo""#) && !text.contains("Lost"));

    // Who does not ask for it does not miss it.
    let told = setting.run("export", "api", &["--services", "foo"]).await;
    assert!(told.success().is_empty());
}

fn unused_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_folder_is_respected() {
    let setting = Setting::new().await;
    setting
        .run("export", "api", &["--services", "foo"])
        .await
        .success();
    let api = setting.path("api");
    fs::write(api.join("buf.yaml"), "version: v2\n").unwrap();
    fs::write(api.join("qi/foo/v1/foo.proto"), "old").unwrap();

    let told = setting
        .run("export", "api", &["--services", "ALMotion"])
        .await;
    assert!(
        told.stderr
            .contains("qi/foo/v1/foo.proto is not of this export"),
        "{told:#?}"
    );
    told.success();
    let texts = texts(&api);
    assert_eq!(texts["buf.yaml"], "version: v2\n");
    assert_eq!(texts["qi/foo/v1/foo.proto"], "old");

    let told = setting
        .run("export", "api", &["--services", "foo,nobody,none"])
        .await;
    assert_eq!(told.status.code(), Some(1));
    assert!(
        told.stderr.contains("no such service: nobody, none"),
        "{told:#?}"
    );
}
