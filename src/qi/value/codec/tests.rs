//! Laws of the codec, on random types, values and bytes.
