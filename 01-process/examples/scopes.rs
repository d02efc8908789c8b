//! A value lives to the end of the block in which it has its name.
//!
//! Then it is dropped, and what it holds is given back: memory, a file, a lock. A value that stands for
//! something that is held is called a guard. It needs a name that begins with `_` if it is not used
//! otherwise; `_` alone is no name, and keeps nothing.
//!
//! Output: exact.

struct Door(&'static str);

impl Door {
    fn open(name: &'static str) -> Door {
        println!("{name} door: open");
        Door(name)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        println!("{} door: closed", self.0);
    }
}

fn main() {
    let _front = Door::open("front");
    {
        let _back = Door::open("back");
        println!("in the garden");
    } // `_back` ends here
    println!("in the house");
} // and `_front` here, also after an error or a panic
