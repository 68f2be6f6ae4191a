//! What is wrong with the names in a dynamic request.

use crate::schema::MemberKind;

/// Why a dynamic request leads nowhere. Nothing was sent, but the call of
/// [`Through`](super::Through).
#[derive(Clone, Debug, thiserror::Error)]
pub enum TargetError {
    /// The request names no target.
    #[error("target: neither a service nor an object is named")]
    Missing,
    /// No service of that name is on the bus, or was.
    #[error("no service {name}")]
    UnknownService {
        /// The name, as it was given.
        name: String,
    },
    /// There is no object of that id, or no longer.
    #[error("no object {id}")]
    UnknownObject {
        /// The id, as it was given.
        id: String,
    },
    /// The object has no such member, or shows none.
    #[error("{object} has no {} {name}", kind_name(*.kind))]
    UnknownMember {
        /// The object.
        object: String,
        /// What was looked for.
        kind: MemberKind,
        /// The name, as it was given.
        name: String,
    },
    /// Of the methods of one name, none takes the arguments.
    #[error("args: {arguments} was given, {} is taken", .candidates.join(" or "))]
    NoOverload {
        /// The qi signature of the arguments.
        arguments: String,
        /// The full names of the methods.
        candidates: Vec<String>,
    },
    /// The method of [`Through`](super::Through) returned no object, or several.
    #[error("{method} did not return an object")]
    NotAnObject {
        /// The name of the method.
        method: String,
    },
}

const fn kind_name(kind: MemberKind) -> &'static str {
    match kind {
        MemberKind::Method => "method",
        MemberKind::Property => "property",
        MemberKind::Signal => "signal",
    }
}
