//! Where a process listens (protocol text, sections 1 and 14).

use std::{fmt, net::IpAddr, str::FromStr};

/// A place to connect to: `tcp://host:port`.
///
/// Without a scheme it is `tcp`, without a port 9559.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Endpoint {
    scheme: Scheme,
    host: String,
    port: u16,
}

/// How the bytes travel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Scheme {
    /// `tcp`: as they are.
    Tcp,
    /// `tcps`: encrypted.
    Tcps,
    /// `tcpsm`: encrypted, and both sides prove who they are.
    Tcpsm,
}

/// What a service gives as an endpoint.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ServiceEndpoint {
    /// A place to connect to.
    Socket(Endpoint),
    /// `qi:NAME`: wherever that service is reached.
    Relative(String),
}

/// Why a text is no endpoint.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EndpointError {
    /// The scheme is none of `tcp`, `tcps`, `tcpsm`.
    #[error("unknown scheme {scheme:?}, expected tcp, tcps or tcpsm")]
    Scheme {
        /// What stands in its place.
        scheme: String,
    },
    /// There is no host.
    #[error("no host in {text:?}, expected tcp://host:port")]
    NoHost {
        /// The whole text.
        text: String,
    },
    /// The host holds what no host can.
    #[error("{host:?} is no host")]
    Host {
        /// What stands in its place.
        host: String,
    },
    /// The port is no number between 1 and 65535.
    #[error("{port:?} is no port")]
    Port {
        /// What stands in its place.
        port: String,
    },
}

/// The port of a robot's service directory (section 1).
pub const DEFAULT_PORT: u16 = 9559;

/// What relative endpoints begin with.
const RELATIVE_PREFIX: &str = "qi:";

impl Endpoint {
    /// A place reached without encryption.
    #[must_use]
    pub const fn tcp(host: String, port: u16) -> Self {
        Self {
            scheme: Scheme::Tcp,
            host,
            port,
        }
    }

    /// How the bytes travel.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// A name or an address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether only the machine itself can reach it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }

    /// Whether it says where to listen, but not where to connect to (`0.0.0.0`, `::`).
    #[must_use]
    pub fn is_unspecified(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        address.is_ok_and(|address| address.to_canonical().is_unspecified())
    }

    /// The same place on another host.
    #[must_use]
    pub fn on_host(&self, host: &str) -> Self {
        Self {
            host: host.to_owned(),
            ..self.clone()
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (scheme, rest) = match text.trim().split_once("://") {
            Some((scheme, rest)) => (scheme.parse()?, rest),
            None => (Scheme::Tcp, text.trim()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = split_port(rest);
        if host.is_empty() {
            let text = text.to_owned();
            return Err(EndpointError::NoHost { text });
        }
        let is_address = host.parse::<IpAddr>().is_ok();
        let is_name = host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte) || byte >= 0x80);
        if !is_address && !is_name {
            let host = host.to_owned();
            return Err(EndpointError::Host { host });
        }
        let port = match port {
            Some(port) => match port.parse() {
                Ok(number) if number != 0 && !port.starts_with('+') => number,
                _ => {
                    let port = port.to_owned();
                    return Err(EndpointError::Port { port });
                }
            },
            None => DEFAULT_PORT,
        };
        Ok(Self {
            scheme,
            host: host.to_owned(),
            port,
        })
    }
}

/// Host and port of `host:port`, `[v6]:port`, `host` or a bare IPv6 address.
pub(in crate::qi) fn split_port(text: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        return match rest {
            "" => (host, None),
            _ => (host, Some(rest.strip_prefix(':').unwrap_or(rest))),
        };
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => (text, None),
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port } = self;
        match host.contains(':') {
            true => write!(f, "{scheme}://[{host}]:{port}"),
            false => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

impl FromStr for Scheme {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "tcps" => Ok(Self::Tcps),
            "tcpsm" => Ok(Self::Tcpsm),
            _ => Err(EndpointError::Scheme {
                scheme: text.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Tcps => "tcps",
            Self::Tcpsm => "tcpsm",
        })
    }
}

impl FromStr for ServiceEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        match text.strip_prefix(RELATIVE_PREFIX) {
            Some(name) => Ok(Self::Relative(name.to_owned())),
            None => text.parse().map(Self::Socket),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_and_their_defaults() {
        for (text, expected) in [
            ("tcp://127.0.0.1:1234", "tcp://127.0.0.1:1234"),
            ("nao.local", "tcp://nao.local:9559"),
            (" 10.0.0.2 ", "tcp://10.0.0.2:9559"),
            ("robot:80", "tcp://robot:80"),
            ("tcps://robot", "tcps://robot:9559"),
            ("tcpsm://robot:9503/", "tcpsm://robot:9503"),
            ("tcp://[::1]:9559", "tcp://[::1]:9559"),
            ("[fe80::1]", "tcp://[fe80::1]:9559"),
            ("::1", "tcp://[::1]:9559"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.to_string(), expected);
            assert_eq!(expected.parse(), Ok(endpoint));
        }
    }

    #[test]
    fn what_is_no_endpoint_says_why() {
        for (text, expected) in [
            (
                "http://robot",
                "unknown scheme \"http\", expected tcp, tcps or tcpsm",
            ),
            ("", "no host in \"\", expected tcp://host:port"),
            (
                "tcp://:9559",
                "no host in \"tcp://:9559\", expected tcp://host:port",
            ),
            ("tcp://a b", "\"a b\" is no host"),
            ("tcp://user@robot", "\"user@robot\" is no host"),
            ("tcp://robot/path", "\"robot/path\" is no host"),
            ("robot:port", "\"port\" is no port"),
            ("robot:0", "\"0\" is no port"),
            ("robot:65536", "\"65536\" is no port"),
            ("[::1]x", "\"x\" is no port"),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn loopback() {
        let is_loopback = |text: &str| text.parse::<Endpoint>().unwrap().is_loopback();
        for text in [
            "127.0.0.1",
            "127.1.2.3",
            "localhost",
            "[::1]",
            "::ffff:127.0.0.1",
        ] {
            assert!(is_loopback(text), "{text}");
        }
        assert!(!is_loopback("10.0.0.1"));
        assert!(!is_loopback("robot"));
    }

    #[test]
    fn relative_endpoints() {
        let relative = ServiceEndpoint::Relative("ALMemory".into());
        assert_eq!("qi:ALMemory".parse(), Ok(relative));
    }
}
