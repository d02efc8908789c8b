//! Values to bytes and back.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Above this, a buffer is given back to the allocator after its use.
const LARGEST_KEPT: usize = 4 << 20;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends this thread's buffer, empty, so that small messages cost no allocation.
pub(crate) fn with_buffer<R>(work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    // Taken out: a `Serialize` of the user's may come here once more.
    let mut buffer = BUFFER.take();
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

/// What a panic said.
pub(crate) fn panic_message(payload: Box<dyn Any + Send>) -> String {
    let message = match (
        payload.downcast_ref::<&str>(),
        payload.downcast_ref::<String>(),
    ) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a panic without a message".to_owned(),
    };
    // Dropping somebody's payload may panic once more.
    std::mem::forget(payload);
    message
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
