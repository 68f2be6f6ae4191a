//! What was noticed while a schema was made.

use std::fmt;

use crate::qi::wire::ActionId;

/// Something about a member of an object that its schema could not take over as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The kind of the member.
    pub kind: MemberKind,
    /// The number of the member.
    pub uid: ActionId,
    /// The name of the member; that of a method with its parameters, as in `say::(s)`.
    pub member: String,
    /// What it is.
    pub problem: Problem,
}

/// The kinds of members of an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MemberKind {
    /// A method.
    Method,
    /// A property.
    Property,
    /// A signal.
    Signal,
}

/// What was noticed about a member.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Problem {
    /// The arguments are declared as something else than a tuple or `m`. The member is left out.
    #[error("left out: the arguments {signature:?} are neither a tuple nor m")]
    NotArguments {
        /// The signature.
        signature: String,
    },
    /// A message would have too many fields. The member is left out.
    #[error("left out: {fields} fields in one message, at most {limit} are possible")]
    TooManyFields {
        /// How many fields it would have.
        fields: usize,
        /// How many it may have.
        limit: usize,
    },
    /// A type nests too deep for a descriptor. The member is left out.
    #[error("left out: a type nests deeper than {limit}")]
    TooDeep {
        /// How deep it may nest.
        limit: usize,
    },
    /// The types of the service are more than a schema holds. The member is left out.
    #[error("left out: the types of the service weigh more than {limit}")]
    TooLarge {
        /// The limit, in bytes of the descriptor, roughly.
        limit: usize,
    },
    /// The rpc has another name than usual, as that one is taken, or breaks generated code.
    #[error("the name {wanted} is not free, the rpc is {rpc}")]
    RpcRenamed {
        /// The usual name.
        wanted: String,
        /// The name it has.
        rpc: String,
    },
    /// A struct has another name than usual, as that one is taken, or kept for the messages of
    /// rpcs.
    #[error("the name {wanted} is not free, the struct {signature:?} is {message}")]
    StructRenamed {
        /// The signature of the struct.
        signature: String,
        /// The usual name.
        wanted: String,
        /// The name it has.
        message: String,
    },
    /// A type holds `X`, which has no encoding: what is declared so can be neither sent nor
    /// received.
    #[error("values of {signature:?} have no encoding")]
    NoEncoding {
        /// The signature.
        signature: String,
    },
}

impl Finding {
    /// Whether the member is left out of the schema.
    #[must_use]
    pub const fn left_out(&self) -> bool {
        match self.problem {
            Problem::NotArguments { .. }
            | Problem::TooManyFields { .. }
            | Problem::TooDeep { .. }
            | Problem::TooLarge { .. } => true,
            Problem::RpcRenamed { .. }
            | Problem::StructRenamed { .. }
            | Problem::NoEncoding { .. } => false,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            uid,
            member,
            problem,
        } = self;
        write!(f, "{kind} {uid} {member:?}: {problem}")
    }
}

impl fmt::Display for MemberKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "method",
            Self::Property => "property",
            Self::Signal => "signal",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_the_robot_moves_a_cursor() {
        // Signatures went to the terminal as they came; their annotations may hold anything.
        let signature = "[(i)<\u{1b}[2J,a>]".to_owned();
        for problem in [
            Problem::NotArguments {
                signature: signature.clone(),
            },
            Problem::StructRenamed {
                signature: signature.clone(),
                wanted: "A".into(),
                message: "B".into(),
            },
            Problem::NoEncoding { signature },
        ] {
            let finding = Finding {
                kind: MemberKind::Method,
                uid: ActionId(100),
                member: "\u{1b}".into(),
                problem,
            };
            let text = finding.to_string();
            assert!(!text.contains(char::is_control), "{text:?}");
        }
    }
}
