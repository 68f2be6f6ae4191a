//! Protobuf bytes to qi bytes and back, by compiled plans, without a tree of values between.
