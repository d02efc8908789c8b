//! Values to bytes and back.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::words::panic_message;

/// Above this, a buffer is given back to the allocator after its use.
const LARGEST_KEPT: usize = 4 << 20;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends this thread's buffer, empty, so that small messages cost no allocation.
pub(crate) fn with_buffer<R>(work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    // Taken out: a `Serialize` of the user's may come here once more.
    // In a destructor of another thread-local variable it may be gone.
    let Ok(mut buffer) = BUFFER.try_with(Cell::take) else {
        return work(&mut Vec::new());
    };
    buffer.clear();
    let result = work(&mut buffer);
    if buffer.capacity() <= LARGEST_KEPT {
        BUFFER.set(buffer);
    }
    result
}

/// Appends `value` to `buffer`, which is as before if that fails.
#[inline]
pub(crate) fn encode<T: Serialize + ?Sized>(
    value: &T,
    buffer: &mut Vec<u8>,
) -> postcard::Result<()> {
    let before = buffer.len();
    postcard::serialize_with_flavor(value, Append(buffer)).inspect_err(|_| buffer.truncate(before))
}

/// A value of `bytes`, or why there is none.
#[inline]
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    // A value that only another kind of channel can carry, such as a sender of ipc-channel's,
    // panics when it is decoded here.
    match catch_unwind(AssertUnwindSafe(|| postcard::from_bytes(bytes))) {
        Ok(value) => value.map_err(|error| error.to_string()),
        Err(payload) => Err(format!(
            "its Deserialize panicked: {}",
            panic_message(payload)
        )),
    }
}

/// Where postcard writes to. Its own `Vec` flavor cannot reuse a buffer.
struct Append<'a>(&'a mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::{BTreeMap, HashMap};
    use std::fmt::Debug;

    use ipc_channel::ipc::IpcSender;
    use proptest::prelude::*;
    use serde::{Deserialize, Serializer};

    use super::*;

    /// One of each kind that serde knows.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Unit,
        Text(String),
        Tuple(i8, u16, i32, u64, i128, bool, char),
        Struct {
            floats: [f32; 3],
            nested: Option<Box<Kind>>,
            bytes: Vec<u8>,
            map: BTreeMap<u32, Vec<String>>,
        },
    }

    fn kind() -> impl Strategy<Value = Kind> {
        let text = || ".{0,6}";
        let flat = prop_oneof![
            Just(()).prop_map(|()| Kind::Unit),
            text().prop_map(Kind::Text),
            any::<(i8, u16, i32, u64, i128, bool, char)>()
                .prop_map(|(a, b, c, d, e, f, g)| Kind::Tuple(a, b, c, d, e, f, g)),
        ];
        flat.prop_recursive(2, 3, 1, move |inner| {
            let bytes = prop::collection::vec(any::<u8>(), 0..9);
            let texts = prop::collection::vec(text(), 0..3);
            let map = prop::collection::btree_map(any::<u32>(), texts, 0..3);
            (any::<[f32; 3]>(), prop::option::of(inner), bytes, map).prop_map(
                |(floats, nested, bytes, map)| Kind::Struct {
                    floats,
                    nested: nested.map(Box::new),
                    bytes,
                    map,
                },
            )
        })
    }

    /// Whatever is decoded can be encoded, and means the same again.
    fn decode_any<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8]) {
        if let Ok(value) = decode::<T>(bytes) {
            let mut again = Vec::new();
            encode(&value, &mut again).unwrap();
            let twin: T = decode(&again).unwrap();
            assert_eq!(format!("{value:?}"), format!("{twin:?}"));
        }
    }

    /// Bytes as they come, and small ones: variants and lengths that make sense lead deeper.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            prop::collection::vec(0..8_u8, 0..200),
        ]
    }

    /// It cannot be encoded, which shows only after some of it was.
    struct Stubborn;

    impl Serialize for Stubborn {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("stubborn"))
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_value_or_an_error(bytes in bytes()) {
            decode_any::<()>(&bytes);
            decode_any::<bool>(&bytes);
            decode_any::<char>(&bytes);
            decode_any::<u64>(&bytes);
            decode_any::<i128>(&bytes);
            decode_any::<f64>(&bytes);
            decode_any::<String>(&bytes);
            decode_any::<Vec<u64>>(&bytes);
            decode_any::<Vec<Vec<String>>>(&bytes);
            decode_any::<Option<(i32, String)>>(&bytes);
            decode_any::<Result<BTreeMap<String, f32>, [u16; 4]>>(&bytes);
            decode_any::<std::time::Duration>(&bytes);
            decode_any::<Kind>(&bytes);
            let _ = decode::<HashMap<String, Kind>>(&bytes);
        }

        /// What a proxy or a channel's end stands for is not in the bytes.
        #[test]
        fn any_bytes_are_no_channel_and_no_manager(bytes in bytes()) {
            prop_assert!(decode::<crate::LockProxy>(&bytes).is_err());
            prop_assert!(decode::<crate::ValueProxy<u8>>(&bytes).is_err());
            prop_assert!(decode::<IpcSender<u8>>(&bytes).is_err());
        }

        #[test]
        fn what_was_encoded_is_decoded(value in kind(), before in bytes()) {
            let mut buffer = before.clone();
            encode(&value, &mut buffer).unwrap();
            prop_assert!(buffer.starts_with(&before));
            prop_assert_eq!(decode::<Kind>(&buffer[before.len()..]), Ok(value));
        }

        #[test]
        fn a_part_is_a_value_or_an_error(value in kind(), end in any::<prop::sample::Index>()) {
            let mut buffer = Vec::new();
            encode(&value, &mut buffer).unwrap();
            decode_any::<Kind>(&buffer[..end.index(buffer.len())]);
        }

        #[test]
        fn a_failure_leaves_the_buffer_as_it_was(value in kind(), before in bytes()) {
            let mut buffer = before.clone();
            prop_assert!(encode(&(value, Stubborn), &mut buffer).is_err());
            prop_assert_eq!(buffer, before);
        }
    }
}
