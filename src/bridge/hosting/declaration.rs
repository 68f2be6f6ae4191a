//! What a host declares, and the object that becomes of it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    desk::Member,
    error::{HostingError, Problem},
    switchboard::{Called, Switchboard},
    values::Values,
};
use crate::qi::{
    host::{
        BuildError, Handler, HostedObject, Method, ObjectBuilder, PropertyHandle, SignalHandle,
        Threading,
    },
    value::{Signature, Type},
    wire::Limits,
};

/// A service as its host declares it. Signatures are texts that may be wrong.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Declaration {
    /// The name on the bus.
    pub name: String,
    /// What the service is for.
    pub description: String,
    /// Whether calls overlap.
    pub multi_threaded: bool,
    /// Its methods.
    pub methods: Vec<DeclaredMethod>,
    /// Its signals.
    pub signals: Vec<DeclaredSignal>,
    /// Its properties.
    pub properties: Vec<DeclaredProperty>,
    /// How long an answer may take. Default [`DEFAULT_ANSWER_TIMEOUT`].
    pub answer_timeout: Option<Duration>,
    /// How many calls may run or wait. Default as configured.
    pub max_calls: Option<usize>,
}

/// A method.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeclaredMethod {
    /// Its name.
    pub name: String,
    /// What it takes; empty for nothing.
    pub parameters_signature: String,
    /// What it returns; empty for nothing.
    pub return_signature: String,
    /// What it does.
    pub description: String,
    /// The names and descriptions of its parameters.
    pub parameters: Vec<(String, String)>,
    /// What its result is.
    pub return_description: String,
}

/// A signal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeclaredSignal {
    /// Its name.
    pub name: String,
    /// What it emits; empty for nothing.
    pub signature: String,
}

/// A property.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeclaredProperty {
    /// Its name.
    pub name: String,
    /// Its type.
    pub signature: String,
    /// The bytes of a `Value`.
    pub value: Vec<u8>,
}

/// How long an answer may take by default: longer than what a robot does in one call, walking
/// through a room or telling a story; short enough that a host that forgets to answer is noticed.
pub const DEFAULT_ANSWER_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The longest time that an answer may take.
pub const MAX_ANSWER_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// How many members a hosted service may have. The largest of a NAO has some 200; each costs some
/// KiB of descriptors and plans.
pub const MAX_MEMBERS: usize = 1024;

/// What becomes of a declaration.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) object: HostedObject,
    pub(super) methods: Vec<Arc<Called>>,
    pub(super) signals: HashMap<String, (SignalHandle, Signature)>,
    pub(super) properties: HashMap<String, (PropertyHandle, Signature)>,
    /// In the order of the declaration.
    pub(super) property_names: Vec<(String, Signature)>,
}

/// How many calls a hosted service may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallLimits {
    pub(super) default: usize,
    pub(super) largest: usize,
}

impl Declaration {
    /// How long an answer may take.
    pub(super) fn timeout(&self) -> Result<Duration, HostingError> {
        let timeout = self.answer_timeout.unwrap_or(DEFAULT_ANSWER_TIMEOUT);
        if timeout.is_zero() || timeout > MAX_ANSWER_TIMEOUT {
            let longest = MAX_ANSWER_TIMEOUT;
            let problem = Problem::Time { longest };
            return Err(HostingError::declaration("declare.answer_timeout", problem));
        }
        Ok(timeout)
    }

    /// Puts the object together whose calls go over `board`.
    pub(super) fn build(
        &self,
        board: &Arc<Switchboard>,
        calls: CallLimits,
    ) -> Result<Declared, HostingError> {
        check_name("declare.name", &self.name)?;
        let members = self.methods.len() + self.signals.len() + self.properties.len();
        check_limit("declare", members, MAX_MEMBERS)?;
        let max_calls = self.max_calls.unwrap_or(calls.default);
        check_limit("declare.max_calls", max_calls, calls.largest)?;
        let mut builder = ObjectBuilder::new();
        builder.description(&self.description).max_calls(max_calls);
        builder.threading(match self.multi_threaded {
            true => Threading::Multi,
            false => Threading::Single,
        });
        let limits = board.values().limits;
        let mut methods = Vec::with_capacity(self.methods.len());
        for (index, declared) in self.methods.iter().enumerate() {
            let field = format!("declare.methods[{index}]");
            methods.push(declared.add(&mut builder, board, &field, Member(index))?);
        }
        let mut signals = HashMap::new();
        for (index, declared) in self.signals.iter().enumerate() {
            let field = format!("declare.signals[{index}]");
            let handle = declared.add(&mut builder, &field, &limits)?;
            signals.insert(declared.name.clone(), handle);
        }
        let mut properties = HashMap::new();
        let mut property_names = Vec::with_capacity(self.properties.len());
        for (index, declared) in self.properties.iter().enumerate() {
            let field = format!("declare.properties[{index}]");
            let handle = declared.add(&mut builder, board, &field, Member(index))?;
            property_names.push((declared.name.clone(), handle.1.clone()));
            properties.insert(declared.name.clone(), handle);
        }
        let object = builder
            .build()
            .map_err(|error| HostingError::declaration("declare", error))?;
        Ok(Declared {
            object,
            methods,
            signals,
            properties,
            property_names,
        })
    }
}

impl DeclaredMethod {
    fn add(
        &self,
        builder: &mut ObjectBuilder,
        board: &Arc<Switchboard>,
        field: &str,
        member: Member,
    ) -> Result<Arc<Called>, HostingError> {
        let limits = board.values().limits;
        check_name(&format!("{field}.name"), &self.name)?;
        let parameters = arguments(
            &format!("{field}.parameters_signature"),
            &self.parameters_signature,
            &limits,
        )?;
        let returns = match &*self.return_signature {
            "" => "v",
            other => other,
        };
        let returns = parse(&format!("{field}.return_signature"), returns, &limits)?;
        let called = Arc::new(Called {
            member,
            name: self.name.clone(),
            parameters,
            returns,
        });
        let handler = {
            let (board, called) = (Arc::clone(board), Arc::clone(&called));
            Handler::future(move |arguments| {
                Arc::clone(&board).call(Arc::clone(&called), arguments)
            })
        };
        let (parameters, returns) = (called.parameters.as_str(), called.returns.as_str());
        let refused = |error: BuildError| refused(field, error);
        let mut method = Method::new(&self.name, parameters, returns, handler).map_err(refused)?;
        method = method.description(&self.description);
        for (name, description) in &self.parameters {
            method = method.parameter(name, description);
        }
        builder
            .method(method.returns(&self.return_description))
            .map_err(refused)?;
        Ok(called)
    }
}

impl DeclaredSignal {
    fn add(
        &self,
        builder: &mut ObjectBuilder,
        field: &str,
        limits: &Limits,
    ) -> Result<(SignalHandle, Signature), HostingError> {
        check_name(&format!("{field}.name"), &self.name)?;
        let signature = arguments(&format!("{field}.signature"), &self.signature, limits)?;
        let handle = builder
            .signal(&self.name, signature.as_str())
            .map_err(|error| refused(field, error))?;
        Ok((handle, signature))
    }
}

impl DeclaredProperty {
    fn add(
        &self,
        builder: &mut ObjectBuilder,
        board: &Arc<Switchboard>,
        field: &str,
        member: Member,
    ) -> Result<(PropertyHandle, Signature), HostingError> {
        let values: &Values = board.values();
        check_name(&format!("{field}.name"), &self.name)?;
        let signature = parse(
            &format!("{field}.signature"),
            &self.signature,
            &values.limits,
        )?;
        let value = values
            .of_type(&self.value, signature.ty())
            .map_err(|error| error.at(&format!("{field}.value")))?;
        let told = Arc::clone(board);
        let on_set = move |value: &_| told.property_set(member, Clone::clone(value));
        let handle = builder
            .property_with(&self.name, signature.as_str(), value, on_set)
            .map_err(|error| refused(field, error))?;
        Ok((handle, signature))
    }
}

/// Why a member cannot be added.
fn refused(field: &str, error: BuildError) -> HostingError {
    match error {
        BuildError::Duplicate { .. } => HostingError::declaration(format!("{field}.name"), error),
        error => HostingError::declaration(field, error),
    }
}

/// A name that tools can write in a full name, `name::(signature)`.
fn check_name(field: &str, name: &str) -> Result<(), HostingError> {
    let refused = |c: char| c.is_control() || c.is_whitespace() || matches!(c, ':' | '(' | ')');
    if name.is_empty() || name.contains(refused) {
        let name = name.to_owned();
        return Err(HostingError::declaration(field, Problem::Name { name }));
    }
    Ok(())
}

fn check_limit(field: &str, given: usize, limit: usize) -> Result<(), HostingError> {
    if given > limit {
        let problem = Problem::TooLarge { given, limit };
        return Err(HostingError::declaration(field, problem));
    }
    Ok(())
}

fn parse(field: &str, text: &str, limits: &Limits) -> Result<Signature, HostingError> {
    Signature::parse(text, limits).map_err(|error| HostingError::declaration(field, error))
}

/// The signature of what a member takes or emits; nothing where the text is empty.
fn arguments(field: &str, text: &str, limits: &Limits) -> Result<Signature, HostingError> {
    let signature = parse(field, if text.is_empty() { "()" } else { text }, limits)?;
    match signature.ty() {
        Type::Tuple(_) | Type::Dynamic => Ok(signature),
        _ => {
            let problem = Problem::NotArguments { signature };
            Err(HostingError::declaration(field, problem))
        }
    }
}
