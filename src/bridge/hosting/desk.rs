//! The calls of one hosted service, and what its host has to be told; without IO.
//!
//! ```text
//!              next           answer               end
//!   waiting ─────────▶ told ───────────▶ answered ─────▶ forgotten
//!      │ end            │ end: the host is told to cancel it ▲
//!      └───────────────▶└────────────────────────────────────┘
//! ```
//!
//! Input: [`Desk::call`], [`Desk::end`], [`Desk::answer`], [`Desk::registered`],
//! [`Desk::property_set`], [`Desk::retire`], [`Desk::close`]. Output: [`Desk::next`] and
//! [`Desk::is_idle`], after any of them.
//!
//! Nothing here grows with a host that does not read: calls are limited by who makes them, each is
//! cancelled at most once, and of each property only the last value is told.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::qi::{value::Value, wire::ServiceId};

/// Names a call to the host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CallId(pub u64);

/// The place of a member among those of its kind, in the order of the declaration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Member(pub(super) usize);

/// What a host is told.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Told {
    /// The service is on the bus.
    Registered {
        /// The number that it got.
        id: ServiceId,
    },
    /// A method is called.
    Call {
        /// The call.
        id: CallId,
        /// The method.
        method: Member,
        /// The arguments, as they are to be told.
        args: Vec<u8>,
    },
    /// Nobody waits for a call any more.
    Cancel {
        /// The call.
        id: CallId,
    },
    /// Someone else has set a property.
    Property {
        /// The property.
        property: Member,
        /// What it is now.
        value: Value,
    },
}

/// The calls of one service. `A` is who waits for an answer.
#[derive(Debug)]
pub(super) struct Desk<A> {
    /// The next place in what is to be told, and the next call.
    next: u64,
    /// The calls that have not ended, and who waits for their answers; nobody once answered.
    calls: HashMap<CallId, Option<A>>,
    registered: Option<ServiceId>,
    /// Told before anything else: they make room at the host.
    cancels: VecDeque<CallId>,
    /// What is to be told, in this order; a call at its own number.
    outbox: BTreeMap<u64, Entry>,
    /// How many bytes the arguments of the calls in the outbox have.
    waiting_bytes: usize,
    /// Where in the outbox the value of a property is.
    places: BTreeMap<Member, u64>,
    refusal: Option<Refusal>,
}

/// How many bytes of arguments may wait to be told, in the form in which they are told; one call is always
/// taken. As many as the host counts as it receives them: as messages, lists of small numbers
/// are several times as long.
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// Why a call is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the gateway shuts down")]
    Retired,
    #[error("the host is gone")]
    Closed,
    #[error("{MAX_WAITING_BYTES} bytes of arguments wait for the host already")]
    Full,
}

#[derive(Debug)]
enum Entry {
    Call(Member, Vec<u8>),
    Property(Member, Value),
}

impl Entry {
    /// What it counts as in [`Desk::waiting_bytes`].
    const fn bytes(&self) -> usize {
        match self {
            Self::Call(_, args) => args.len(),
            Self::Property(..) => 0,
        }
    }
}

impl<A> Desk<A> {
    pub(super) fn new() -> Self {
        Self {
            next: 1,
            calls: HashMap::new(),
            registered: None,
            cancels: VecDeque::new(),
            outbox: BTreeMap::new(),
            waiting_bytes: 0,
            places: BTreeMap::new(),
            refusal: None,
        }
    }

    /// A call to be told and answered.
    pub(super) fn call(
        &mut self,
        method: Member,
        args: Vec<u8>,
        waiter: A,
    ) -> Result<CallId, Refusal> {
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        let waiting = self.waiting_bytes.saturating_add(args.len());
        if self.waiting_bytes > 0 && waiting > MAX_WAITING_BYTES {
            return Err(Refusal::Full);
        }
        self.waiting_bytes = waiting;
        let id = CallId(self.place(Entry::Call(method, args)));
        self.calls.insert(id, Some(waiter));
        Ok(id)
    }

    /// A call is over. Nobody waits for it any more, if somebody still did.
    pub(super) fn end(&mut self, id: CallId) {
        let Some(Some(_)) = self.calls.remove(&id) else {
            return;
        };
        match self.outbox.remove(&id.0) {
            Some(entry) => self.waiting_bytes -= entry.bytes(),
            None => self.cancels.push_back(id),
        }
    }

    /// Who waits for the answer to a call that the host was told; nobody if it was answered or is
    /// over.
    pub(super) fn answer(&mut self, id: CallId) -> Option<A> {
        if self.outbox.contains_key(&id.0) {
            return None;
        }
        self.calls.get_mut(&id)?.take()
    }

    /// Takes no more calls; those that were taken go on.
    pub(super) fn retire(&mut self) {
        self.refusal.get_or_insert(Refusal::Retired);
    }

    /// Whether all calls are over.
    pub(super) fn is_idle(&self) -> bool {
        self.calls.is_empty()
    }

    pub(super) fn registered(&mut self, id: ServiceId) {
        self.registered = Some(id);
    }

    /// Someone else has set a property.
    pub(super) fn property_set(&mut self, property: Member, value: Value) {
        if self.refusal == Some(Refusal::Closed) {
            return;
        }
        let entry = Entry::Property(property, value);
        match self.places.get(&property) {
            // At the place of the value before: a call that was made after it, and may count on
            // it, shall not come first.
            Some(place) => {
                self.outbox.insert(*place, entry);
            }
            None => {
                let place = self.place(entry);
                self.places.insert(property, place);
            }
        }
    }

    fn place(&mut self, entry: Entry) -> u64 {
        let place = self.next;
        self.next += 1;
        self.outbox.insert(place, entry);
        place
    }

    /// What the host has to be told next.
    pub(super) fn next(&mut self) -> Option<Told> {
        if let Some(id) = self.registered.take() {
            return Some(Told::Registered { id });
        }
        if let Some(id) = self.cancels.pop_front() {
            return Some(Told::Cancel { id });
        }
        let (place, entry) = self.outbox.pop_first()?;
        self.waiting_bytes -= entry.bytes();
        Some(match entry {
            Entry::Call(method, args) => Told::Call {
                id: CallId(place),
                method,
                args,
            },
            Entry::Property(property, value) => {
                self.places.remove(&property);
                Told::Property { property, value }
            }
        })
    }

    /// The host is gone: who still waits is given back, and there is nothing to tell any more.
    pub(super) fn close(&mut self) -> Vec<A> {
        self.refusal = Some(Refusal::Closed);
        self.registered = None;
        self.cancels.clear();
        self.outbox.clear();
        self.waiting_bytes = 0;
        self.places.clear();
        self.calls
            .drain()
            .filter_map(|(_, waiter)| waiter)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METHOD: Member = Member(0);

    fn call(desk: &mut Desk<char>, waiter: char) -> CallId {
        desk.call(METHOD, Vec::new(), waiter).expect("open")
    }

    fn told(id: CallId) -> Option<Told> {
        Some(Told::Call {
            id,
            method: METHOD,
            args: Vec::new(),
        })
    }

    #[test]
    fn calls_are_told_in_order_and_answered_in_any() {
        let mut desk = Desk::new();
        let (a, b) = (call(&mut desk, 'a'), call(&mut desk, 'b'));
        assert_eq!(desk.answer(a), None, "the host does not know it yet");
        assert_eq!(desk.next(), told(a));
        assert_eq!(desk.next(), told(b));
        assert_eq!(desk.next(), None);
        assert_eq!(desk.answer(b), Some('b'));
        assert_eq!(desk.answer(a), Some('a'));
        assert_eq!(desk.answer(a), None, "answered twice");
        assert_eq!(desk.answer(CallId(77)), None, "never called");
    }

    #[test]
    fn only_a_call_that_was_told_is_cancelled() {
        let mut desk = Desk::new();
        let (a, b) = (call(&mut desk, 'a'), call(&mut desk, 'b'));
        assert_eq!(desk.next(), told(a));
        desk.end(a);
        desk.end(b);
        desk.end(b);
        assert_eq!(desk.answer(a), None, "nobody waits any more");
        assert_eq!(desk.next(), Some(Told::Cancel { id: a }));
        assert_eq!(desk.next(), None);
    }

    #[test]
    fn the_end_of_an_answered_call_is_not_told() {
        let mut desk = Desk::new();
        let a = call(&mut desk, 'a');
        desk.next();
        desk.answer(a);
        desk.end(a);
        assert_eq!(desk.next(), None);
    }

    #[test]
    fn of_a_property_the_last_value_is_told_before_the_calls_that_count_on_one() {
        let mut desk = Desk::new();
        let level = Member(1);
        desk.property_set(level, Value::Int32(1));
        let a = call(&mut desk, 'a');
        desk.property_set(level, Value::Int32(2));
        let b = call(&mut desk, 'b');
        let (property, value) = (level, Value::Int32(2));
        assert_eq!(desk.next(), Some(Told::Property { property, value }));
        assert_eq!(desk.next(), told(a));
        assert_eq!(desk.next(), told(b));
        assert_eq!(desk.next(), None);
    }

    #[test]
    fn a_host_that_does_not_read_costs_no_more_with_time() {
        let mut desk = Desk::new();
        for _ in 0..1000 {
            let id = call(&mut desk, 'x');
            desk.end(id);
            desk.property_set(Member(1), Value::Void);
            desk.registered(ServiceId(9));
        }
        assert_eq!((desk.outbox.len(), desk.places.len()), (1, 1));
        assert!(desk.cancels.is_empty() && desk.is_idle());
        let id = ServiceId(9);
        assert_eq!(desk.next(), Some(Told::Registered { id }));
    }

    #[test]
    fn so_many_bytes_wait_for_a_host_that_does_not_read() {
        let mut desk = Desk::new();
        let large = || vec![0; MAX_WAITING_BYTES - 1];
        let a = desk.call(METHOD, large(), 'a').expect("the first");
        desk.call(METHOD, vec![0; 1], 'b').expect("just fits");
        assert_eq!(desk.call(METHOD, vec![0; 1], 'c'), Err(Refusal::Full));
        desk.end(a);
        desk.call(METHOD, large(), 'd')
            .expect("there is room again");
        assert_eq!(desk.call(METHOD, vec![0; 1], 'e'), Err(Refusal::Full));
        while desk.next().is_some() {}
        desk.call(METHOD, vec![0; MAX_WAITING_BYTES + 1], 'f')
            .expect("one is always taken");
        desk.close();
        assert_eq!(desk.waiting_bytes, 0);
    }

    #[test]
    fn everyone_who_waits_learns_of_the_end() {
        let mut desk = Desk::new();
        let a = call(&mut desk, 'a');
        call(&mut desk, 'b');
        desk.next();
        let mut waiting = desk.close();
        waiting.sort_unstable();
        assert_eq!(waiting, ['a', 'b']);
        let refused = desk.call(METHOD, Vec::new(), 'c');
        assert_eq!(refused, Err(Refusal::Closed));
        desk.end(a);
        desk.property_set(Member(1), Value::Void);
        assert_eq!(desk.next(), None);
    }

    #[test]
    fn who_retires_ends_what_was_begun() {
        let mut desk = Desk::new();
        let a = call(&mut desk, 'a');
        call(&mut desk, 'b');
        assert_eq!(desk.next(), told(a));
        desk.retire();
        let refused = desk.call(METHOD, Vec::new(), 'c');
        assert_eq!(refused, Err(Refusal::Retired));
        assert_eq!(desk.answer(a), Some('a'));
        desk.end(a);
        assert!(!desk.is_idle());
        let b = match desk.next() {
            Some(Told::Call { id, .. }) => id,
            other => panic!("no call: {other:?}"),
        };
        assert_eq!(desk.answer(b), Some('b'));
        assert!(!desk.is_idle(), "the answer is on its way");
        desk.end(b);
        assert!(desk.is_idle());
        assert_eq!(desk.next(), None);
    }
}
