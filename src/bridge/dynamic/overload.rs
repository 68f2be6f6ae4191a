//! Which of several methods of one name is meant.

use crate::qi::value::{MetaMethod, Type};

/// The methods that a name may mean: those of a full name, `name::(signature)`, or all of a bare
/// one.
pub(super) fn candidates<'a>(
    methods: impl Iterator<Item = &'a MetaMethod>,
    name: &str,
) -> Vec<&'a MetaMethod> {
    let (bare, signature) = match name.split_once("::") {
        Some((bare, signature)) => (bare, Some(signature)),
        None => (name, None),
    };
    methods
        .filter(|method| method.name == bare)
        .filter(|method| {
            signature.is_none_or(|signature| method.parameters_signature.as_str() == signature)
        })
        .collect()
}

/// Whether a method takes so many arguments.
pub(super) fn takes(method: &MetaMethod, count: usize) -> bool {
    match method.parameters_signature.ty() {
        Type::Dynamic => true,
        Type::Tuple(tuple) => tuple.elements.len() == count,
        _ => false,
    }
}

/// How close arguments of these types are to the parameters of a method, as libqi ranks them: what
/// takes a dynamic is best, then the argument's own type, then the same kind of number, then
/// another. The method with the highest score is meant (protocol text, section 16); between
/// integers of several widths, where libqi gives up, the closest one.
pub(super) fn score(arguments: &[Type], method: &MetaMethod) -> f64 {
    let Type::Tuple(tuple) = method.parameters_signature.ty() else {
        return ANY_ARGUMENTS;
    };
    let pairs = arguments.iter().zip(&tuple.elements);
    pairs.map(|(from, to)| closeness(from, to)).product()
}

/// The score of a method that takes any arguments: below that of any with parameters.
const ANY_ARGUMENTS: f64 = 0.0;

/// How close any argument is to a parameter that takes a dynamic: a libqi client prefers it to
/// everything else, even to a parameter of the argument's own type.
const DYNAMIC: f64 = 1.1;

/// From 0 to 1, and above for a dynamic.
fn closeness(from: &Type, to: &Type) -> f64 {
    if *to == Type::Dynamic {
        return DYNAMIC;
    }
    if from.same_layout(to) {
        return 1.0;
    }
    match (from, to) {
        // What it holds is not known; it fits, or the method would not be asked for.
        (Type::Dynamic, _) => 0.8,
        (from, Type::Optional(to)) => 0.9 * closeness(from, to),
        (Type::List(from) | Type::VarArgs(from), Type::List(to) | Type::VarArgs(to)) => {
            0.98 * closeness(from, to)
        }
        (Type::Map(from), Type::Map(to)) => {
            0.98 * closeness(&from.0, &to.0) * closeness(&from.1, &to.1)
        }
        (Type::Tuple(from), Type::Tuple(to)) => {
            let pairs = from.elements.iter().zip(&to.elements);
            0.98 * pairs.map(|(from, to)| closeness(from, to)).product::<f64>()
        }
        (from, to) => match (number(from), number(to)) {
            (Some(from), Some(to)) => between_numbers(from, to),
            _ => 0.3,
        },
    }
}

/// A number type: whether it is floating, signed, and its bits.
fn number(ty: &Type) -> Option<(bool, bool, u32)> {
    Some(match ty {
        Type::Bool => (false, false, 1),
        Type::Int8 => (false, true, 8),
        Type::UInt8 => (false, false, 8),
        Type::Int16 => (false, true, 16),
        Type::UInt16 => (false, false, 16),
        Type::Int32 => (false, true, 32),
        Type::UInt32 => (false, false, 32),
        Type::Int64 => (false, true, 64),
        Type::UInt64 => (false, false, 64),
        Type::Float => (true, true, 32),
        Type::Double => (true, true, 64),
        _ => return None,
    })
}

/// The same kind of number before signs that differ, before floating point; then the wider one.
fn between_numbers(from: (bool, bool, u32), to: (bool, bool, u32)) -> f64 {
    let kind = match (from.0 == to.0, from.1 == to.1) {
        (true, true) => 0.95,
        (true, false) => 0.85,
        (false, _) => 0.6,
    };
    kind - f64::from(from.2.abs_diff(to.2)) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qi::{
        value::Signature,
        wire::{ActionId, Limits},
    };

    fn method(uid: u32, parameters: &str) -> MetaMethod {
        MetaMethod {
            uid: ActionId(uid),
            return_signature: Signature::from(Type::Void),
            name: "set".into(),
            parameters_signature: Signature::parse(parameters, &Limits::default()).unwrap(),
            description: String::new(),
            parameters: Vec::new(),
            return_description: String::new(),
        }
    }

    /// The parameters of the best of the methods for arguments of these types.
    fn best(arguments: &str, methods: &[&str]) -> String {
        let Type::Tuple(tuple) = Type::parse(arguments, &Limits::default()).unwrap() else {
            panic!("a tuple of arguments");
        };
        methods
            .iter()
            .zip(100..)
            .map(|(parameters, uid)| method(uid, parameters))
            .filter(|method| takes(method, tuple.elements.len()))
            .max_by(|a, b| score(&tuple.elements, a).total_cmp(&score(&tuple.elements, b)))
            .map(|method| method.parameters_signature.to_string())
            .unwrap()
    }

    #[test]
    fn the_closest_parameters_win() {
        assert_eq!(best("(l)", &["(m)", "(f)", "(i)", "(s)"]), "(m)");
        assert_eq!(best("(s)", &["(s)", "(m)"]), "(m)");
        assert_eq!(best("(l)", &["(f)", "(i)", "(s)"]), "(i)");
        assert_eq!(best("(d)", &["(i)", "(f)", "(s)"]), "(f)");
        assert_eq!(best("(d)", &["(f)", "(d)"]), "(d)");
        assert_eq!(best("(s)", &["(r)", "(s)"]), "(s)");
        assert_eq!(best("(l)", &["(C)", "(i)", "(l)"]), "(l)");
        assert_eq!(best("(sl)", &["(si)", "(sf)"]), "(si)");
        assert_eq!(best("([m])", &["(f)", "([s])"]), "([s])");
        assert_eq!(best("(v)", &["m", "(m)"]), "(m)");
    }

    #[test]
    fn the_number_of_arguments_comes_first() {
        assert_eq!(best("(ll)", &["(l)", "m", "(lll)"]), "m");
        assert_eq!(best("()", &["()", "m"]), "()");
    }

    #[test]
    fn a_full_name_means_one_method() {
        let methods = [method(100, "(i)"), method(101, "(s)")];
        let uids = |name| -> Vec<u32> {
            let found = candidates(methods.iter(), name);
            found.iter().map(|method| method.uid.0).collect()
        };
        assert_eq!(uids("set"), [100, 101]);
        assert_eq!(uids("set::(s)"), [101]);
        assert!(uids("set::(d)").is_empty());
        assert!(uids("get").is_empty());
    }
}
