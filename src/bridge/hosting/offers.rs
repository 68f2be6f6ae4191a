//! Hosted services that clients may pass to the robot as objects, by their names.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use crate::qi::host::HostedObject;

/// The services that are hosted now. A name may have several for a moment: one whose host has gone
/// and one whose host has come back.
#[derive(Debug, Default)]
pub(crate) struct Offers(Mutex<HashMap<String, Vec<HostedObject>>>);

/// A service that can be passed by its name, until this is dropped.
#[derive(Debug)]
pub(super) struct Offer {
    offers: Arc<Offers>,
    name: String,
    object: HostedObject,
}

impl Offers {
    /// Lets a service be found by its name.
    pub(super) fn add(self: &Arc<Self>, name: &str, object: &HostedObject) -> Offer {
        let mut known = self.0.lock();
        known
            .entry(name.to_owned())
            .or_default()
            .push(object.clone());
        Offer {
            offers: Arc::clone(self),
            name: name.to_owned(),
            object: object.clone(),
        }
    }

    /// The service of a name, the newest.
    pub(crate) fn find(&self, name: &str) -> Option<HostedObject> {
        self.0.lock().get(name)?.last().cloned()
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        let mut known = self.offers.0.lock();
        if let Some(objects) = known.get_mut(&self.name) {
            objects.retain(|object| object.uid() != self.object.uid());
            if objects.is_empty() {
                known.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qi::host::ObjectBuilder;

    #[test]
    fn a_service_is_found_until_its_offer_ends() {
        let object = || ObjectBuilder::new().build().unwrap();
        let offers = Arc::new(Offers::default());
        let (old, new) = (object(), object());
        let found = |offers: &Offers| offers.find("foo").map(|object| object.uid());
        assert_eq!(found(&offers), None);
        let first = offers.add("foo", &old);
        assert_eq!(found(&offers), Some(old.uid()));
        let second = offers.add("foo", &new);
        assert_eq!(found(&offers), Some(new.uid()));
        drop(first);
        assert_eq!(found(&offers), Some(new.uid()));
        drop(second);
        assert_eq!(found(&offers), None);
        assert!(offers.0.lock().is_empty());
    }
}
