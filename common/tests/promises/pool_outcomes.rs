//! One outcome for each task, whatever its code and its types do.

use std::cell::RefCell;

use common::Pool;
use serde::{Deserialize, Deserializer, Serialize};

trials![a_result_whose_decoding_uses_the_pool];

thread_local! {
    static POOL: RefCell<Option<Pool<'static, u64, Asking>>> = const { RefCell::new(None) };
}

/// Asks the pool for more when it is decoded.
#[derive(Serialize)]
struct Asking(u64, Vec<u8>);

impl<'de> Deserialize<'de> for Asking {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (number, bytes) = Deserialize::deserialize(deserializer)?;
        if number < 8 {
            POOL.with_borrow(|pool| {
                let other = pool.as_ref().unwrap().apply(&(number + 100)).unwrap();
                assert_eq!(other.0, number + 100);
            });
        }
        Ok(Asking(number, bytes))
    }
}

fn a_result_whose_decoding_uses_the_pool() {
    // A chunk's results take several messages, and the later ones arrive meanwhile.
    let task = |number| anyhow::Ok(Asking(number, vec![0; 20_000]));
    POOL.set(Some(Pool::new(1, task).unwrap()));
    let results = POOL.with_borrow(|pool| pool.as_ref().unwrap().map(0..8));
    assert!(results.unwrap().iter().map(|result| result.0).eq(0..8));
    POOL.take().unwrap().join().unwrap();
}
