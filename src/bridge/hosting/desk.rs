//! The calls of one hosted service, and what its host has to be told; without IO.
//!
//! ```text
//!              next                 answer
//!   waiting ─────────▶ told ───────────────────▶ answered
//!      │ abandon        │ abandon: the host is told to cancel it
//!      └───────────────▶└──────────────────────▶ forgotten
//! ```
//!
//! Input: [`Desk::call`], [`Desk::abandon`], [`Desk::answer`], [`Desk::registered`],
//! [`Desk::property_set`], [`Desk::close`]. Output: [`Desk::next`], after any of them.
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
    pending: HashMap<CallId, A>,
    registered: Option<ServiceId>,
    /// Told before anything else: they make room at the host.
    cancels: VecDeque<CallId>,
    /// What is to be told, in this order; a call at its own number.
    outbox: BTreeMap<u64, Entry>,
    /// Where in the outbox the value of a property is.
    places: BTreeMap<Member, u64>,
    closed: bool,
}

#[derive(Debug)]
enum Entry {
    Call(Member, Vec<u8>),
    Property(Member, Value),
}

impl<A> Desk<A> {
    pub(super) fn new() -> Self {
        Self {
            next: 1,
            pending: HashMap::new(),
            registered: None,
            cancels: VecDeque::new(),
            outbox: BTreeMap::new(),
            places: BTreeMap::new(),
            closed: false,
        }
    }

    /// A call to be told and answered; none when the host is gone.
    pub(super) fn call(&mut self, method: Member, args: Vec<u8>, waiter: A) -> Option<CallId> {
        if self.closed {
            return None;
        }
        let id = CallId(self.place(Entry::Call(method, args)));
        self.pending.insert(id, waiter);
        Some(id)
    }

    /// Nobody waits for a call any more.
    pub(super) fn abandon(&mut self, id: CallId) {
        if self.pending.remove(&id).is_some() && self.outbox.remove(&id.0).is_none() {
            self.cancels.push_back(id);
        }
    }

    /// Who waits for the answer to a call that the host was told; nobody if it was answered or
    /// abandoned.
    pub(super) fn answer(&mut self, id: CallId) -> Option<A> {
        if self.outbox.contains_key(&id.0) {
            return None;
        }
        self.pending.remove(&id)
    }

    pub(super) fn registered(&mut self, id: ServiceId) {
        self.registered = Some(id);
    }

    /// Someone else has set a property.
    pub(super) fn property_set(&mut self, property: Member, value: Value) {
        if self.closed {
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
        self.closed = true;
        self.registered = None;
        self.cancels.clear();
        self.outbox.clear();
        self.places.clear();
        self.pending.drain().map(|(_, waiter)| waiter).collect()
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
        desk.abandon(a);
        desk.abandon(b);
        desk.abandon(b);
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
        desk.abandon(a);
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
            desk.abandon(id);
            desk.property_set(Member(1), Value::Void);
            desk.registered(ServiceId(9));
        }
        assert_eq!((desk.outbox.len(), desk.places.len()), (1, 1));
        assert!(desk.cancels.is_empty() && desk.pending.is_empty());
        let id = ServiceId(9);
        assert_eq!(desk.next(), Some(Told::Registered { id }));
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
        assert_eq!(desk.call(METHOD, Vec::new(), 'c'), None);
        desk.abandon(a);
        desk.property_set(Member(1), Value::Void);
        assert_eq!(desk.next(), None);
    }
}
