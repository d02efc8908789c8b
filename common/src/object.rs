//! What processes share, as people and onlookers know it.

use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;

use bytemuck::Pod;

use crate::trace::{self, ObjectId};

/// What was made, and where: people know it by that.
#[derive(Clone, Copy)]
pub(crate) struct Object {
    id: ObjectId,
    kind: &'static str,
    made: &'static Location<'static>,
    /// Reads the number that it protects.
    value: unsafe fn(NonNull<()>) -> Option<i32>,
}

impl Object {
    /// Made by the caller.
    #[track_caller]
    pub fn new(kind: &'static str) -> Self {
        let made = Location::caller();
        let id = trace::made(kind, made);
        Object {
            id,
            kind,
            made,
            value: |_| None,
        }
    }

    /// A value, made by the caller.
    #[track_caller]
    pub fn of_value<T: Pod>() -> Self {
        Object {
            // SAFETY: the caller of `value` promises it.
            value: |data| as_number(unsafe { data.cast::<T>().as_ref() }),
            ..Object::new("value")
        }
    }

    /// What it protects, if that is a whole number that is not large.
    ///
    /// # Safety
    /// If this is a value's, its `T` is there, and nobody writes it meanwhile.
    pub unsafe fn value(&self, data: NonNull<()>) -> Option<i32> {
        // SAFETY: as the caller promises.
        unsafe { (self.value)(data) }
    }

    #[inline]
    pub fn id(&self) -> ObjectId {
        self.id
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the {} made at {}:{}",
            self.kind,
            self.made.file(),
            self.made.line()
        )
    }
}

fn as_number(value: &dyn Any) -> Option<i32> {
    macro_rules! one_of {
        ($($integer:ty),*) => {
            $(if let Some(&number) = value.downcast_ref::<$integer>() {
                return i32::try_from(number).ok();
            })*
        };
    }
    one_of!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);
    None
}
