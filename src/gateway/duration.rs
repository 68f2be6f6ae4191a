//! Times that clients give as `google.protobuf.Duration`.

use std::time::Duration;

/// A time as one of ours; none for what is negative, or no duration at all. The conversion of
/// `prost_types` overflows at the most negative one, and so does its text.
pub(crate) fn duration(given: prost_types::Duration) -> Option<Duration> {
    let seconds = u64::try_from(given.seconds).ok()?;
    let nanos = u32::try_from(given.nanos).ok()?;
    (nanos < NANOS_PER_SECOND).then(|| Duration::new(seconds, nanos))
}

/// What a client gave, for people.
pub(crate) fn text(given: prost_types::Duration) -> String {
    match given {
        prost_types::Duration { seconds, nanos: 0 } => format!("{seconds}s"),
        prost_types::Duration { seconds, nanos } => format!("{seconds}s {nanos}ns"),
    }
}

const NANOS_PER_SECOND: u32 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn given(seconds: i64, nanos: i32) -> prost_types::Duration {
        prost_types::Duration { seconds, nanos }
    }

    /// A client that asked for a pause of the most negative number of seconds made a debug build
    /// panic.
    #[test]
    fn any_numbers_are_a_time_or_none() {
        assert_eq!(duration(given(2, 500)), Some(Duration::new(2, 500)));
        assert_eq!(duration(given(0, 0)), Some(Duration::ZERO));
        let longest = duration(given(i64::MAX, 999_999_999)).unwrap();
        assert_eq!(longest.subsec_nanos(), 999_999_999);
        let numbers = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX];
        let nanos = [i32::MIN, -1_000_000_000, -1, 1_000_000_000, i32::MAX];
        for seconds in numbers {
            for nanos in nanos {
                assert_eq!(duration(given(seconds, nanos)), None);
            }
        }
        assert_eq!(text(given(i64::MIN, 0)), "-9223372036854775808s");
        assert_eq!(text(given(-1, i32::MIN)), "-1s -2147483648ns");
    }
}
