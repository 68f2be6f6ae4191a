//! The programs of `examples`.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// The command that runs an example, which is built first: a test that is run by itself has cargo
/// build no examples.
pub(crate) fn example_command(name: &str) -> Command {
    // TARGET/PROFILE/qi-grpc-gateway
    let binary = Path::new(env!("CARGO_BIN_EXE_qi-grpc-gateway"));
    let folder = binary.parent().unwrap();
    let profile = match folder.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        other => other,
    };
    let cargo = env::var_os("CARGO").map_or_else(|| PathBuf::from(env!("CARGO")), PathBuf::from);
    let mut build = Command::new(cargo);
    // What cargo tells its tests makes dependencies look changed, and all would be built anew.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text == "OUT_DIR" || text.starts_with("CARGO_MANIFEST") || text.starts_with("CARGO_PKG")
        {
            build.env_remove(&name);
        }
    }
    let built = build
        .args(["build", "--quiet", "--offline", "--example", name])
        .args(["--profile", profile, "--target-dir"])
        .arg(folder.parent().unwrap())
        // Other features would mean other dependencies.
        .args((!cfg!(feature = "demo")).then_some("--no-default-features"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "the example {name} cannot be built:\n{}",
        String::from_utf8_lossy(&built.stderr)
    );
    Command::new(folder.join("examples").join(name))
}
