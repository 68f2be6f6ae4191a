//! Every size, depth and count that a peer controls.

/// What is accepted from a peer. Checked before anything is allocated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The largest payload of a message, in bytes. Default 50 000 000: the limit of every libqi
    /// before 2019, so no robot was built to need more (protocol text, section 2).
    pub payload_bytes: u32,
    /// The longest signature, in bytes. Default 65 536: the longest known, that of a real robot's
    /// vision service, has under 4 000.
    pub signature_bytes: u32,
    /// How deep types may nest in a signature. Default 64: real ones stay below 10, and a parser
    /// that recurses 64 times needs a few KiB of stack.
    pub signature_depth: u16,
    /// How deep dynamic values may nest in one another. Default 64, for the same reason.
    pub dynamic_depth: u16,
    /// How deep values may nest altogether, dynamic values and their contents included. Default
    /// 128: what lists of dynamics need to reach [`Self::dynamic_depth`]; a decoder that recurses
    /// so often needs less than 1 MiB of stack, even unoptimized.
    pub value_depth: u16,
    /// How many values may be built from one message, those inside of others and the characters of
    /// dynamic signatures included. Default 2 000 000: a value takes some ten times the memory that
    /// it takes bytes, so that this keeps a message below some 200 MB. It is no bound for what
    /// is passed on as bytes; strings and raw buffers count as one.
    pub values: u32,
    /// How many elements may occupy no byte at all, such as those of `[v]` and `[()]`, in one
    /// message. Default 65 536: every other element is paid for by a byte that really came.
    pub empty_elements: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            payload_bytes: 50_000_000,
            signature_bytes: 65_536,
            signature_depth: 64,
            dynamic_depth: 64,
            value_depth: 128,
            values: 2_000_000,
            empty_elements: 65_536,
        }
    }
}
