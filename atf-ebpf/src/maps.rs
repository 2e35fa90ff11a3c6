//! Every map. Who writes which is fixed by the group of its pin (`atf_agent::kernel::pins`).

use core::ffi::c_void;
use core::ptr;

use atf_common::event::Event;
use atf_common::limits::{EVENTS_BYTES, RUNS_MAX};
use atf_common::records::{Config, Deny, Lease, Mark, Release, Run, Stamp, State, VectorState};
use atf_common::vector::VECTORS;
use aya_ebpf::bindings::bpf_map_type::BPF_MAP_TYPE_SK_STORAGE;
use aya_ebpf::bindings::{
    BPF_F_CLONE, BPF_F_NO_PREALLOC, BPF_F_RDONLY_PROG, BPF_SK_STORAGE_GET_F_CREATE, bpf_sock,
};
use aya_ebpf::btf_maps::{Array, HashMap, PerCpuArray, RingBuf, SkStorage};
use aya_ebpf::helpers::generated::bpf_sk_storage_get;
use aya_ebpf::macros::btf_map;

const RUNS_LEN: usize = RUNS_MAX as usize;

#[btf_map]
pub static RUNS: HashMap<u64, Run, RUNS_LEN> = HashMap::new();

#[btf_map]
pub static STATES: HashMap<u64, State, RUNS_LEN> = HashMap::new();

#[btf_map]
pub static DENY: HashMap<u64, Deny, RUNS_LEN> = HashMap::new();

#[btf_map]
pub static RELEASES: HashMap<u64, Release, RUNS_LEN> = HashMap::new();

#[btf_map]
pub static LEASE: Array<Lease, 1> = Array::new();

#[btf_map]
pub static CONFIG: Array<Config, 1, { BPF_F_RDONLY_PROG as usize }> = Array::new();

/// On the gateway's listening sockets.
#[btf_map]
pub static MARKS: SkStorage<Mark> = SkStorage::new();

/// On the sockets that `accept` gives to the gateway.
#[btf_map]
pub static STAMPS: SkStorage<Stamp> = SkStorage::new();

/// On the sockets that a run made, but for those of INET.
#[btf_map]
pub static OWNERS: SkStorage<Stamp> = SkStorage::new();

/// Where layer B is up, on the sockets of TCP that a run made on its own loopback, and on those that `accept` gives it.
#[btf_map]
pub static LOOPBACK: Inherited<Stamp> = Inherited::new();

#[btf_map]
pub static EVENTS: RingBuf<Event, { EVENTS_BYTES as usize }> = RingBuf::new();

/// What is counted for processes that have no `STATES` entry, by vector.
#[btf_map]
pub static LOST: PerCpuArray<VectorState, VECTORS> = PerCpuArray::new();

/// A socket storage that a connection has from its listener (`BPF_F_CLONE`), which aya's has not: no
/// hook sees a socket that `accept` gives. The fields are what aya's maps have for the loader.
#[repr(C)]
pub struct Inherited<T> {
    r#type: *const [i32; BPF_MAP_TYPE_SK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; (BPF_F_NO_PREALLOC | BPF_F_CLONE) as usize],
}

// SAFETY: the fields are read by the loader alone.
unsafe impl<T> Sync for Inherited<T> {}

impl<T> Inherited<T> {
    const fn new() -> Self {
        Self {
            r#type: ptr::null(),
            key: ptr::null(),
            value: ptr::null(),
            max_entries: ptr::null(),
            map_flags: ptr::null(),
        }
    }
}

/// A map of socket storage.
pub trait Storage<T>: Sync {}
impl<T> Storage<T> for SkStorage<T> {}
impl<T> Storage<T> for Inherited<T> {}

/// What `storage` holds for a kernel `struct sock`, if anything.
pub fn of_socket<T: Copy>(storage: &'static impl Storage<T>, sk: *mut c_void) -> Option<T> {
    if sk.is_null() {
        return None;
    }
    // SAFETY: the verifier admits the call only when `sk` is a socket of the kernel; what it
    // returns is null or a value of the map's type that lives as long as the program runs.
    unsafe {
        let value = bpf_sk_storage_get(address(storage), sk, ptr::null_mut(), 0).cast::<T>();
        value.as_ref().copied()
    }
}

/// Puts `value` on a kernel `struct sock`. False when the kernel could not.
#[must_use = "a socket without its stamp has no owner"]
pub fn put_on_socket(storage: &'static impl Storage<Stamp>, sk: *mut c_void, value: Stamp) -> bool {
    !sk.is_null() && put(storage, sk, value)
}

/// Puts `value` on the socket that the program is called for: its context, which is never null.
#[must_use = "a socket without its stamp is nobody's"]
pub fn put_on_own(storage: &'static Inherited<Stamp>, ctx: *mut bpf_sock, value: Stamp) -> bool {
    put(storage, ctx.cast(), value)
}

#[inline(always)]
fn put(storage: &'static impl Storage<Stamp>, sk: *mut c_void, value: Stamp) -> bool {
    let mut value = value;
    // SAFETY: as above; `value` is on the stack and of the map's value type.
    unsafe {
        let made = bpf_sk_storage_get(
            address(storage),
            sk,
            ptr::from_mut(&mut value).cast(),
            BPF_SK_STORAGE_GET_F_CREATE.into(),
        )
        .cast::<Stamp>();
        // An entry that was there already is kept by the kernel; it must say the same.
        made.as_ref().is_some_and(|made| made.run == value.run)
    }
}

/// What aya's own calls pass for a map: the address of its static, which the loader replaces.
fn address<T>(storage: &'static impl Storage<T>) -> *mut c_void {
    ptr::from_ref(storage).cast_mut().cast()
}
