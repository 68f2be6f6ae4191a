//! A snapshot as the text of its file.

use std::fmt::Write as _;

use super::{FORMAT_VERSION, Snapshot};
use crate::qi::value::{MetaMethod, MetaObject};

pub(super) fn json(snapshot: &Snapshot) -> String {
    let mut writer = Writer::default();
    writer.object(|writer| {
        writer.number("formatVersion", FORMAT_VERSION);
        if !snapshot.neighbours.is_empty() {
            writer.list("neighbours", &snapshot.neighbours, |writer, name| {
                writer.string(name);
            });
        }
        writer.list("services", &snapshot.services, |writer, (name, meta)| {
            writer.object(|writer| service(writer, name, meta));
        });
    });
    writer.text.push('\n');
    writer.text
}

fn service(writer: &mut Writer, name: &str, meta: &MetaObject) {
    writer.text("name", name);
    writer.text_if_any("description", &meta.description);
    writer.list("methods", meta.methods.values(), |writer, it| {
        writer.object(|writer| method(writer, it));
    });
    writer.list("signals", meta.signals.values(), |writer, signal| {
        writer.object(|writer| {
            writer.number("uid", signal.uid.0.into());
            writer.text("name", &signal.name);
            writer.text("signature", signal.signature.as_str());
        });
    });
    writer.list(
        "properties",
        meta.properties.values(),
        |writer, property| {
            writer.object(|writer| {
                writer.number("uid", property.uid.0.into());
                writer.text("name", &property.name);
                writer.text("signature", property.signature.as_str());
            });
        },
    );
}

fn method(writer: &mut Writer, method: &MetaMethod) {
    writer.number("uid", method.uid.0.into());
    writer.text("name", &method.name);
    writer.text("parametersSignature", method.parameters_signature.as_str());
    writer.text("returnSignature", method.return_signature.as_str());
    writer.text_if_any("description", &method.description);
    if !method.parameters.is_empty() {
        writer.list("parameters", &method.parameters, |writer, parameter| {
            writer.object(|writer| {
                writer.text("name", &parameter.name);
                writer.text_if_any("description", &parameter.description);
            });
        });
    }
    writer.text_if_any("returnDescription", &method.return_description);
}

/// JSON whose keys stand in the order in which they were written.
#[derive(Default)]
struct Writer {
    text: String,
    indent: usize,
    /// Whether something stands before the next entry, in the object or list that is open.
    follows: bool,
}

impl Writer {
    fn object(&mut self, entries: impl FnOnce(&mut Self)) {
        self.enclosed('{', '}', entries);
    }

    fn list<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        mut item: impl FnMut(&mut Self, T),
    ) {
        self.key(key);
        self.enclosed('[', ']', |writer| {
            for it in items {
                writer.next();
                item(writer, it);
            }
        });
    }

    fn enclosed(&mut self, open: char, close: char, inside: impl FnOnce(&mut Self)) {
        self.text.push(open);
        self.indent += 1;
        self.follows = false;
        inside(self);
        self.indent -= 1;
        if self.follows {
            self.line();
        }
        self.text.push(close);
        self.follows = true;
    }

    fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        let _ = write!(self.text, "{number}");
    }

    fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.string(text);
    }

    fn text_if_any(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.text(key, text);
        }
    }

    fn key(&mut self, key: &str) {
        self.next();
        self.string(key);
        self.text.push_str(": ");
    }

    fn string(&mut self, text: &str) {
        let _ = write!(self.text, "{}", serde_json::Value::from(text));
    }

    fn next(&mut self) {
        if self.follows {
            self.text.push(',');
        }
        self.line();
        self.follows = true;
    }

    fn line(&mut self) {
        self.text.push('\n');
        for _ in 0..self.indent {
            self.text.push_str("  ");
        }
    }
}
