//! The command line and the environment of libqi's applications (libqi: `applicationsession.cpp`).

use std::{env, time::Duration};

use crate::qi::{
    host::HostOptions,
    session::{DialOptions, Endpoint, EndpointError, endpoint::split_port},
};

/// How an application is connected.
///
/// | argument | environment | what | default |
/// | --- | --- | --- | --- |
/// | `--qi-url URL` | `QI_URL` | the service directory | `tcp://127.0.0.1:9559` |
/// | `--qi-listen-url URL;URL` | `QI_LISTEN_URL` | where to listen | see [`Self::listen`] |
///
/// Arguments come first; both may also be written with `=`.
#[derive(Clone, Debug)]
pub struct ApplicationOptions {
    /// The service directory.
    pub url: Endpoint,
    /// Where to listen, `tcp://host:port` each; port 0 takes a free one, and all interfaces stand
    /// for the one by which the directory is reached. None: on a free port of the address by which
    /// the directory is reached, `127.0.0.1` if it is on this machine.
    pub listen: Vec<String>,
    /// How connections are opened. Calls of others go to the application's host in any case.
    pub dial: DialOptions,
    /// How services are hosted.
    pub host: HostOptions,
    /// The first pause between attempts to reach the directory, and the longest. Default 250 ms,
    /// as a restarting directory takes about a second, and 15 s.
    pub backoff: (Duration, Duration),
}

impl Default for ApplicationOptions {
    fn default() -> Self {
        Self {
            url: Endpoint::tcp("127.0.0.1".to_owned(), 9559),
            listen: Vec::new(),
            dial: DialOptions::default(),
            host: HostOptions::default(),
            backoff: (Duration::from_millis(250), Duration::from_secs(15)),
        }
    }
}

/// What is wrong with the command line or the environment.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OptionError {
    /// What should be the directory's address is none.
    #[error("{option}: {source}")]
    Url {
        /// The argument or the variable.
        option: &'static str,
        /// What is wrong with it.
        source: EndpointError,
    },
    /// An argument is the last one that needs a value.
    #[error("{option} needs a value")]
    NoValue {
        /// The argument.
        option: &'static str,
    },
    /// libqi's applications can be service directories themselves; these cannot.
    #[error("--qi-standalone is not supported: this application needs a service directory")]
    Standalone,
}

const URL: &str = "--qi-url";
const LISTEN: &str = "--qi-listen-url";
const STANDALONE: &str = "--qi-standalone";

impl ApplicationOptions {
    /// Takes the application's options out of the arguments; what is none of them stays.
    ///
    /// ```
    /// use qi_grpc_gateway::qi::application::ApplicationOptions;
    ///
    /// let mut args: Vec<String> = ["foo", "--qi-url=tcp://nao.local", "--loud"]
    ///     .map(String::from)
    ///     .into();
    /// let options = ApplicationOptions::from_args(&mut args)?;
    /// assert_eq!(options.url.to_string(), "tcp://nao.local:9559");
    /// assert_eq!(args, ["foo", "--loud"]);
    /// # Ok::<(), qi_grpc_gateway::qi::application::OptionError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OptionError`].
    pub fn from_args(args: &mut Vec<String>) -> Result<Self, OptionError> {
        Self::read(args, |name| env::var(name).ok())
    }

    fn read(
        args: &mut Vec<String>,
        variable: impl Fn(&'static str) -> Option<String>,
    ) -> Result<Self, OptionError> {
        if take_flag(args, STANDALONE) {
            return Err(OptionError::Standalone);
        }
        let mut options = Self::default();
        let url = match take(args, URL)? {
            Some(url) => Some((URL, url)),
            None => variable("QI_URL").map(|url| ("QI_URL", url)),
        };
        if let Some((option, url)) = url.filter(|(_, url)| !url.is_empty()) {
            let parsed = url.parse();
            options.url = parsed.map_err(|source| OptionError::Url { option, source })?;
        }
        let listen = take(args, LISTEN)?.or_else(|| variable("QI_LISTEN_URL"));
        let listen = listen.unwrap_or_default();
        let listen = listen.split(';').map(str::trim);
        options.listen = listen.filter(|url| !url.is_empty()).map(complete).collect();
        Ok(options)
    }
}

/// The place of the first argument that `found` accepts; nothing after `--` is an option.
fn position(args: &[String], found: impl Fn(&str) -> bool) -> Option<usize> {
    let options = args.iter().take_while(|argument| *argument != "--");
    options.into_iter().position(|argument| found(argument))
}

fn take_flag(args: &mut Vec<String>, option: &str) -> bool {
    let found = position(args, |argument| argument == option);
    found.map(|at| args.remove(at)).is_some()
}

/// Takes `OPTION VALUE` or `OPTION=VALUE`; the last one counts if there are several.
fn take(args: &mut Vec<String>, option: &'static str) -> Result<Option<String>, OptionError> {
    let attached = |argument: &str| {
        let rest = argument.strip_prefix(option)?;
        rest.strip_prefix('=').map(str::to_owned)
    };
    let mut value = None;
    let is_it = |argument: &str| argument == option || attached(argument).is_some();
    while let Some(at) = position(args, is_it) {
        value = match attached(&args.remove(at)) {
            Some(value) => Some(value),
            None if at < args.len() => Some(args.remove(at)),
            None => return Err(OptionError::NoValue { option }),
        };
    }
    Ok(value)
}

/// What is missing of an address to listen on is that of `tcp://127.0.0.1:0`, as in libqi.
fn complete(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
    let (host, port) = split_port(rest);
    let port = port.filter(|port| !port.is_empty()).unwrap_or("0");
    match host {
        "" => format!("{scheme}://127.0.0.1:{port}"),
        host if host.contains(':') => format!("{scheme}://[{host}]:{port}"),
        host => format!("{scheme}://{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<(ApplicationOptions, Vec<String>), OptionError> {
        let mut args = args.iter().map(|&arg| arg.to_owned()).collect();
        let variable = |name: &'static str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let options = ApplicationOptions::read(&mut args, variable)?;
        Ok((options, args))
    }

    #[test]
    fn the_directory_is_named_by_argument_then_environment() {
        let local = "tcp://127.0.0.1:9559";
        let nao = ("QI_URL", "tcp://nao.local:9559");
        for (args, variables, expected) in [
            (&["foo"][..], &[][..], local),
            (&["foo"], &[nao], nao.1),
            (&["foo", "--qi-url", "pepper:1"], &[nao], "tcp://pepper:1"),
            (&["foo", "--qi-url=pepper"], &[nao], "tcp://pepper:9559"),
            (&["--qi-url=a", "--qi-url", "b"], &[], "tcp://b:9559"),
            (&["foo", "--qi-url="], &[nao], local),
            (&["foo", "--", "--qi-url=pepper"], &[nao], nao.1),
        ] {
            let (options, _) = read(args, variables).unwrap();
            assert_eq!(options.url.to_string(), expected, "{args:?}");
        }
    }

    #[test]
    fn other_arguments_stay() {
        let args = [
            "foo",
            "-v",
            "--qi-url",
            "nao",
            "--qi-urls",
            "x",
            "--",
            "--qi-standalone",
        ];
        let (_, left) = read(&args, &[]).unwrap();
        assert_eq!(
            left,
            ["foo", "-v", "--qi-urls", "x", "--", "--qi-standalone"]
        );
    }

    #[test]
    fn addresses_to_listen_on_are_completed_as_by_libqi() {
        let url = "tcp://127.0.0.1:9555;tcp://:9999;;10.0.0.3; tcp://[::1];nao:7";
        let expected = [
            "tcp://127.0.0.1:9555",
            "tcp://127.0.0.1:9999",
            "tcp://10.0.0.3:0",
            "tcp://[::1]:0",
            "tcp://nao:7",
        ];
        let (options, _) = read(&["--qi-listen-url", url], &[("QI_LISTEN_URL", "x")]).unwrap();
        assert_eq!(options.listen, expected);
        let (options, _) = read(&[], &[("QI_LISTEN_URL", "x")]).unwrap();
        assert_eq!(options.listen, ["tcp://x:0"]);
        assert!(read(&[], &[]).unwrap().0.listen.is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (args, variables, expected) in [
            (&["--qi-url"][..], &[][..], "--qi-url needs a value"),
            (
                &["--qi-url=http://x"],
                &[],
                "--qi-url: unknown scheme \"http\", expected tcp, tcps or tcpsm",
            ),
            (&[], &[("QI_URL", "a b")], "QI_URL: \"a b\" is no host"),
            (
                &["--qi-standalone"],
                &[],
                "--qi-standalone is not supported: this application needs a service directory",
            ),
        ] {
            let error = read(args, variables).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
