//! An allocator that counts what the current thread asks it for: work that is the same on each machine
//! and under each load, unlike time.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static BYTES: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting. To be a program's `#[global_allocator]`.
pub struct Counting;

impl Counting {
    /// Bytes that this thread has allocated since it began.
    pub fn bytes() -> u64 {
        BYTES.with(Cell::get)
    }

    fn count(bytes: usize) {
        // Gone while the thread ends: nobody asks any more.
        let _gone = BYTES.try_with(|counted| counted.set(counted.get().wrapping_add(bytes as u64)));
    }
}

// SAFETY: each call goes on to the system's allocator as it came; counting allocates nothing, because the
// cell has a constant initial value and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; `pointer` is of `System`, which made all of them.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
