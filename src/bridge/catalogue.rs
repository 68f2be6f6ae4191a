//! What can be called now: an immutable picture of the robot's services.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::Bytes;

use super::service::{Method, Service};

/// The services of a robot that are known, whether they are there or away.
///
/// A new one is published whenever a service comes, goes or changes; whoever holds an old one goes
/// on with it undisturbed.
#[derive(Debug, Default)]
pub struct Catalogue {
    services: BTreeMap<String, Arc<Service>>,
    routes: HashMap<String, Route>,
    files: HashMap<String, Arc<Service>>,
    symbols: HashMap<String, Arc<Service>>,
}

/// Where a gRPC path leads.
#[derive(Clone, Debug)]
pub struct Route {
    /// The service.
    pub service: Arc<Service>,
    /// The method.
    pub method: Arc<Method>,
}

impl Catalogue {
    pub(crate) fn new(services: impl IntoIterator<Item = Arc<Service>>) -> Self {
        let mut catalogue = Self::default();
        for service in services {
            catalogue.add(service);
        }
        catalogue
    }

    fn add(&mut self, service: Arc<Service>) {
        let schema = service.schema();
        for method in service.methods() {
            let route = Route {
                service: Arc::clone(&service),
                method: Arc::clone(method),
            };
            self.routes.insert(method.schema().path.clone(), route);
        }
        self.files
            .insert(schema.file_name.clone(), Arc::clone(&service));
        for symbol in &schema.symbols {
            self.symbols.insert(symbol.clone(), Arc::clone(&service));
        }
        self.services.insert(service.name().to_owned(), service);
    }

    /// The method behind a gRPC path such as `/qi.foo.v1.Foo/Bang`.
    #[must_use]
    pub fn route(&self, path: &str) -> Option<&Route> {
        self.routes.get(path)
    }

    /// A service by its name on the robot's bus.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Arc<Service>> {
        self.services.get(name)
    }

    /// All services, by name.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values()
    }

    /// How many methods can be called.
    #[must_use]
    pub fn route_count(&self) -> usize {
        self.routes.len()
    }

    /// The encoded descriptor of a generated file.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&Bytes> {
        Some(&self.files.get(name)?.schema().descriptor)
    }

    /// The encoded descriptor of the generated file that defines a symbol.
    #[must_use]
    pub fn file_containing(&self, symbol: &str) -> Option<&Bytes> {
        Some(&self.symbols.get(symbol)?.schema().descriptor)
    }
}
