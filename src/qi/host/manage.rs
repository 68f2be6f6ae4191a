//! Statistics and traces, which every object has (protocol text, section 5, actions 80 to 86).
//!
//! While both are off, a call costs two looks at a flag. What libqi measures of its threads is not
//! known here, where a call has none of its own: the times of user and system are 0, and so are the
//! contexts of caller and callee.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{
    BuildError, MethodError, arguments::null_object, method::signature, object::Object, special,
};
use crate::qi::{
    value::{
        Dynamic, MetaSignal, Signature, Type, Value,
        codec::{DecodeContext, EncodeContext, decode, encode},
    },
    wire::{ActionId, Writer},
};

pub(super) const IS_STATS_ENABLED: ActionId = ActionId(80);
pub(super) const ENABLE_STATS: ActionId = ActionId(81);
pub(super) const STATS: ActionId = ActionId(82);
pub(super) const CLEAR_STATS: ActionId = ActionId(83);
pub(super) const IS_TRACE_ENABLED: ActionId = ActionId(84);
pub(super) const ENABLE_TRACE: ActionId = ActionId(85);
/// The signal that traces calls and events.
pub(super) const TRACE_OBJECT: ActionId = ActionId(86);

/// Number, name, parameters and result of each.
pub(super) const METHODS: [(ActionId, &str, &str, &str); 6] = [
    (IS_STATS_ENABLED, "isStatsEnabled", "()", "b"),
    (ENABLE_STATS, "enableStats", "(b)", "v"),
    (
        STATS,
        "stats",
        "()",
        "{I(I(fff)<MinMaxSum,minValue,maxValue,cumulatedValue>\
         (fff)<MinMaxSum,minValue,maxValue,cumulatedValue>\
         (fff)<MinMaxSum,minValue,maxValue,cumulatedValue>)\
         <MethodStatistics,count,wall,user,system>}",
    ),
    (CLEAR_STATS, "clearStats", "()", "v"),
    (IS_TRACE_ENABLED, "isTraceEnabled", "()", "b"),
    (ENABLE_TRACE, "enableTrace", "(b)", "v"),
];

const TRACE_NAME: &str = "traceObject";

const TRACE_SIGNATURE: &str = "((IiIm(ll)<timeval,tv_sec,tv_usec>llII)\
     <EventTrace,id,kind,slotId,arguments,timestamp,userUsTime,systemUsTime,callerContext,calleeContext>)";

/// The signal of the traces, for meta objects.
pub(super) fn trace_signal() -> Result<MetaSignal, BuildError> {
    Ok(MetaSignal {
        uid: TRACE_OBJECT,
        name: TRACE_NAME.to_owned(),
        signature: signature(TRACE_NAME, TRACE_SIGNATURE)?,
    })
}

/// How often the methods of an object ran, and how long.
#[derive(Debug, Default)]
pub(super) struct Stats {
    enabled: AtomicBool,
    methods: Mutex<BTreeMap<ActionId, MethodStats>>,
}

#[derive(Clone, Copy, Debug)]
struct MethodStats {
    count: u32,
    shortest: Duration,
    longest: Duration,
    all: Duration,
}

/// Whether calls and events of an object are traced.
#[derive(Debug, Default)]
pub(super) struct Trace {
    enabled: AtomicBool,
    /// The traces are those of another object.
    forwarded: bool,
    last: AtomicU32,
}

/// What a trace tells of.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
enum Traced {
    Call = 1,
    Result = 2,
    Error = 3,
    Signal = 4,
}

/// A call that is counted or traced.
#[derive(Debug)]
pub(super) struct Observed {
    object: Arc<Object>,
    method: ActionId,
    began: Instant,
    counted: bool,
    /// Its number in the traces.
    traced: Option<u32>,
}

impl Stats {
    fn add(&self, method: ActionId, took: Duration) {
        let mut methods = self.methods.lock();
        let stats = methods.entry(method).or_insert(MethodStats {
            count: 0,
            shortest: took,
            longest: took,
            all: Duration::ZERO,
        });
        stats.count = stats.count.saturating_add(1);
        stats.shortest = stats.shortest.min(took);
        stats.longest = stats.longest.max(took);
        stats.all = stats.all.saturating_add(took);
    }

    fn value(&self) -> Value {
        let methods = self.methods.lock();
        let entries = methods
            .iter()
            .map(|(method, stats)| (Value::UInt32(method.0), stats.value()));
        Value::Map(entries.collect())
    }
}

impl MethodStats {
    fn value(&self) -> Value {
        let seconds = |times: [Duration; 3]| {
            let seconds = times.iter().map(|time| Value::Float(time.as_secs_f32()));
            Value::Tuple(seconds.collect())
        };
        let none = seconds([Duration::ZERO; 3]);
        Value::Tuple(vec![
            Value::UInt32(self.count),
            seconds([self.shortest, self.longest, self.all]),
            none.clone(),
            none,
        ])
    }
}

impl Trace {
    /// For an object that traces nothing itself.
    pub(super) fn forwarded() -> Self {
        Self {
            forwarded: true,
            ..Self::default()
        }
    }

    pub(super) fn enable(&self, enabled: bool) {
        self.enabled
            .store(enabled && !self.forwarded, Ordering::Relaxed);
    }

    fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    fn next(&self) -> u32 {
        self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// What the traces are emitted as.
    pub(super) fn signature() -> Option<&'static Signature> {
        static PARSED: LazyLock<Option<Signature>> =
            LazyLock::new(|| Some(trace_signal().ok()?.signature));
        PARSED.as_ref()
    }

    /// The trace of an event, if it is to be traced.
    pub(super) fn event(
        &self,
        signal: ActionId,
        signature: &Signature,
        values: &[Value],
    ) -> Option<Value> {
        let is_traced = self.is_enabled() && signal != TRACE_OBJECT;
        let arguments = || arguments(signature, values);
        is_traced.then(|| trace(self.next(), Traced::Signal, signal, arguments()))
    }
}

/// Begins to observe a call, if somebody wants to know.
pub(super) fn observe(
    object: &Arc<Object>,
    method: ActionId,
    parameters: &Signature,
    values: &[Value],
) -> Option<Observed> {
    let counted = object.stats.enabled.load(Ordering::Relaxed);
    let subscribers = &object.subscribers;
    let traced = subscribers.trace.is_enabled();
    if !counted && !traced {
        return None;
    }
    let traced = traced.then(|| subscribers.trace.next());
    if let Some(id) = traced {
        let arguments = arguments(parameters, values);
        subscribers.emit_trace(trace(id, Traced::Call, method, arguments));
    }
    Some(Observed {
        object: Arc::clone(object),
        method,
        began: Instant::now(),
        counted,
        traced,
    })
}

/// The same of a special method: libqi observes those that belong to the object, not those of its
/// place on the bus.
pub(super) fn observe_special(
    object: &Arc<Object>,
    method: ActionId,
    values: &[Value],
) -> Option<Observed> {
    if method < IS_STATS_ENABLED {
        return None;
    }
    observe(object, method, special::parameters(method)?, values)
}

impl Observed {
    /// The call ended.
    pub(super) fn end(self, returns: &Signature, result: &Result<Value, MethodError>) {
        if self.counted {
            self.object.stats.add(self.method, self.began.elapsed());
        }
        let Some(id) = self.traced else {
            return;
        };
        let (kind, told) = match result {
            Ok(value) => (Traced::Result, dynamic(returns.ty(), value)),
            Err(error) => {
                let text = Value::text(&error.to_string());
                (Traced::Error, dynamic(&Type::String, &text))
            }
        };
        let subscribers = &self.object.subscribers;
        subscribers.emit_trace(trace(id, kind, self.method, told));
    }

    /// The call of a special method ended, with an encoded result.
    pub(super) fn end_encoded(self, result: &Result<special::Answer, String>) {
        let returns = special::returns(self.method);
        let Some(returns) = returns else {
            return;
        };
        let result = match result {
            Ok(special::Answer::Payload(payload) | special::Answer::Registered(payload, _)) => {
                let value = decode(returns.ty(), payload, DecodeContext::default());
                value.map_err(|error| MethodError::failed(error.to_string()))
            }
            Err(text) => Err(MethodError::failed(text.as_str())),
        };
        self.end(returns, &result);
    }
}

/// Does what a call of one of [`METHODS`] asks for.
pub(super) fn call(object: &Object, method: ActionId, argument: &Value) -> Result<Bytes, String> {
    let trace = &object.subscribers.trace;
    let on = *argument == Value::Bool(true);
    let result = match method {
        IS_STATS_ENABLED => Value::Bool(object.stats.enabled.load(Ordering::Relaxed)),
        IS_TRACE_ENABLED => Value::Bool(trace.is_enabled()),
        STATS => object.stats.value(),
        ENABLE_STATS => {
            object.stats.enabled.store(on, Ordering::Relaxed);
            Value::Void
        }
        ENABLE_TRACE => {
            trace.enable(on);
            Value::Void
        }
        CLEAR_STATS => {
            object.stats.methods.lock().clear();
            Value::Void
        }
        _ => Value::Void,
    };
    let returns = special::returns(method).map_or(&Type::Void, Signature::ty);
    let mut writer = Writer::new();
    encode(&result, returns, &mut EncodeContext::default(), &mut writer)
        .map_err(|error| error.to_string())?;
    Ok(writer.finish())
}

/// An `EventTrace`, stamped now.
fn trace(id: u32, kind: Traced, member: ActionId, told: Value) -> Value {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    Value::Tuple(vec![
        Value::UInt32(id),
        Value::Int32(kind as i32),
        Value::UInt32(member.0),
        told,
        Value::Tuple(vec![
            Value::Int64(seconds),
            Value::Int64(now.subsec_micros().into()),
        ]),
        Value::Int64(0),
        Value::Int64(0),
        Value::UInt32(0),
        Value::UInt32(0),
    ])
}

/// A dynamic `[m]` of arguments.
fn arguments(signature: &Signature, values: &[Value]) -> Value {
    let types: &[Type] = match signature.ty() {
        Type::Tuple(tuple) => &tuple.elements,
        _ => &[],
    };
    let mut types = types.iter();
    let values = values
        .iter()
        .map(|value| dynamic(types.next().unwrap_or(&Type::Dynamic), value));
    let list = Type::list(Type::Dynamic);
    Value::Dynamic(Box::new(Dynamic::new(
        list.into(),
        Value::List(values.collect()),
    )))
}

/// A value as a dynamic. Who reads a trace gets no objects: null objects are in their places.
fn dynamic(ty: &Type, value: &Value) -> Value {
    let mut value = value.clone();
    if value.holds_objects() {
        let replaced = value.visit_objects::<std::convert::Infallible>(&mut |place| {
            *place = null_object();
            Ok(())
        });
        match replaced {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }
    match value {
        Value::Dynamic(_) => value,
        value => Value::Dynamic(Box::new(Dynamic::new(ty.clone().into(), value))),
    }
}
