//! What an object says about itself (section 11).

use std::collections::BTreeMap;

use super::Signature;
use crate::qi::wire::ActionId;

/// The members of an object. Methods, signals and properties share one numbering.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct MetaObject {
    /// The methods by number.
    pub methods: BTreeMap<ActionId, MetaMethod>,
    /// The signals by number; that of a property has the property's number and name.
    pub signals: BTreeMap<ActionId, MetaSignal>,
    /// The properties by number.
    pub properties: BTreeMap<ActionId, MetaProperty>,
    /// Free text.
    pub description: String,
}

/// A method. Overloads are methods of the same name with different numbers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MetaMethod {
    /// Its number.
    pub uid: ActionId,
    /// The type that it returns.
    pub return_signature: Signature,
    /// Its name.
    pub name: String,
    /// The tuple of its parameters, or `m` for any arguments.
    pub parameters_signature: Signature,
    /// Free text.
    pub description: String,
    /// Names and descriptions of the parameters; often missing, sometimes empty names.
    pub parameters: Vec<MetaMethodParameter>,
    /// Free text on what is returned.
    pub return_description: String,
}

/// What a method says about one of its parameters.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct MetaMethodParameter {
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: String,
}

/// A signal.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MetaSignal {
    /// Its number.
    pub uid: ActionId,
    /// Its name.
    pub name: String,
    /// The tuple of its arguments, or `m` for any arguments.
    pub signature: Signature,
}

/// A property.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MetaProperty {
    /// Its number.
    pub uid: ActionId,
    /// Its name.
    pub name: String,
    /// The type of its value.
    pub signature: Signature,
}

impl MetaObject {
    /// The methods of a name, by number.
    pub fn methods_named(&self, name: &str) -> impl Iterator<Item = &MetaMethod> {
        self.methods
            .values()
            .filter(move |method| method.name == name)
    }

    /// The signal of a name.
    #[must_use]
    pub fn signal(&self, name: &str) -> Option<&MetaSignal> {
        self.signals.values().find(|signal| signal.name == name)
    }

    /// The property of a name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&MetaProperty> {
        self.properties
            .values()
            .find(|property| property.name == name)
    }
}
