//! Descriptors as .proto text.
