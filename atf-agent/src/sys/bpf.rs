//! The bpf(2) commands that aya has no safe call for. Each takes and gives descriptors, ids and
//! plain values; what they mean is the business of the kernel room.

#![allow(unsafe_code, reason = "the room for system calls")]

use std::ffi::CString;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

// Commands of linux/bpf.h.
const PROG_LOAD: libc::c_int = 5;
const OBJ_PIN: libc::c_int = 6;
const OBJ_GET: libc::c_int = 7;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const PROG_QUERY: libc::c_int = 16;
const MAP_FREEZE: libc::c_int = 22;
const LINK_CREATE: libc::c_int = 28;

const F_RDONLY: u32 = 1 << 3;
const F_QUERY_EFFECTIVE: u32 = 1;

/// Programs on one cgroup that one query returns; the kernel itself allows 64 of a kind.
const QUERY_MAX: usize = 512;

/// Maps that one program may use for [`program_maps`] to list them all; ATF's use eleven.
const PROGRAM_MAPS_MAX: usize = 64;

/// Bytes of the verifier's answer that are kept.
const LOG_BYTES: usize = 1 << 16;

/// How a pinned object is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For lookups only.
    Read,
    /// For everything.
    Write,
}

/// What the kernel says of a link to a cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CgroupLink {
    /// The program's id.
    pub program: u32,
    /// The cgroup's id; 0 when the cgroup is gone and the link with it.
    pub cgroup: u64,
    /// Where it is attached: a `bpf_attach_type`.
    pub attach_type: u32,
}

/// A program as the kernel takes it.
pub struct Program<'a> {
    /// A `bpf_prog_type`.
    pub kind: u32,
    /// A `bpf_attach_type`.
    pub attach_type: u32,
    /// The instructions, eight bytes each, with map descriptors in place.
    pub instructions: &'a [u8],
    /// At most 15 bytes.
    pub name: &'a str,
}

/// Loads a program under the GPL.
///
/// # Errors
/// The kernel's, with the end of the verifier's answer.
pub fn load(program: &Program<'_>) -> io::Result<OwnedFd> {
    #[repr(C)]
    #[derive(Default)]
    struct Attr {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log_buf: u64,
        kern_version: u32,
        prog_flags: u32,
        prog_name: [u8; 16],
        prog_ifindex: u32,
        expected_attach_type: u32,
    }
    let mut log = vec![0_u8; LOG_BYTES];
    let mut attr = Attr {
        prog_type: program.kind,
        insn_cnt: u32::try_from(program.instructions.len() / 8).map_err(io::Error::other)?,
        insns: program.instructions.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        expected_attach_type: program.attach_type,
        ..Attr::default()
    };
    let name = program.name.as_bytes();
    let length = name.len().min(attr.prog_name.len() - 1);
    attr.prog_name[..length].copy_from_slice(&name[..length]);
    // SAFETY: the pointers lead to buffers that outlive the call, of the lengths given.
    if let Ok(fd) = unsafe { call_for_fd(PROG_LOAD, &mut attr) } {
        return Ok(fd);
    }
    attr.log_level = 1;
    attr.log_size = LOG_BYTES as u32;
    attr.log_buf = log.as_mut_ptr() as u64;
    // SAFETY: as above; the log is ours, and the kernel writes at most `log_size` bytes.
    let result = unsafe { call_for_fd(PROG_LOAD, &mut attr) };
    result.map_err(|error| {
        let end = log.iter().position(|byte| *byte == 0).unwrap_or(0);
        let said = String::from_utf8_lossy(&log[..end]);
        let tail: Vec<&str> = said.trim().lines().rev().take(4).collect();
        if tail.is_empty() {
            return error;
        }
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        io::Error::new(error.kind(), format!("{error}: {}", tail.join("; ")))
    })
}

/// Attaches a program to a cgroup, by a link that lives as long as its descriptors and pins.
///
/// # Errors
/// The kernel's.
pub fn attach(program: BorrowedFd<'_>, cgroup: BorrowedFd<'_>, kind: u32) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attr {
        prog_fd: u32,
        target_fd: u32,
        attach_type: u32,
        flags: u32,
    }
    let mut attr = Attr {
        prog_fd: number(program.as_raw_fd()),
        target_fd: number(cgroup.as_raw_fd()),
        attach_type: kind,
        flags: 0,
    };
    // SAFETY: the record holds numbers alone.
    unsafe { call_for_fd(LINK_CREATE, &mut attr) }
}

/// Pins an object at a path of a bpf file system.
///
/// # Errors
/// The kernel's.
pub fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    let mut attr = PathAttr {
        pathname: path.as_ptr() as u64,
        bpf_fd: number(object.as_raw_fd()),
        file_flags: 0,
    };
    // SAFETY: the path outlives the call.
    unsafe { call(OBJ_PIN, &mut attr) }.map(|_zero| ())
}

/// Opens a pinned object.
///
/// # Errors
/// The kernel's: no such pin, or no permission on it.
pub fn open_pin(path: &Path, access: Access) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let mut attr = PathAttr {
        pathname: path.as_ptr() as u64,
        bpf_fd: 0,
        file_flags: if access == Access::Read { F_RDONLY } else { 0 },
    };
    // SAFETY: the path outlives the call.
    unsafe { call_for_fd(OBJ_GET, &mut attr) }
}

/// Makes a map read-only for every process, for ever.
///
/// # Errors
/// The kernel's.
pub fn freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = number(map.as_raw_fd());
    // SAFETY: the record is one number.
    unsafe { call(MAP_FREEZE, &mut attr) }.map(|_zero| ())
}

/// The ids of the programs on a cgroup, in the order in which they run: those that are attached to
/// it or, when `effective`, those of its ancestors too.
///
/// # Errors
/// The kernel's.
pub fn programs_on(cgroup: BorrowedFd<'_>, kind: u32, effective: bool) -> io::Result<Vec<u32>> {
    #[repr(C)]
    #[derive(Default)]
    struct Attr {
        target_fd: u32,
        attach_type: u32,
        query_flags: u32,
        attach_flags: u32,
        prog_ids: u64,
        prog_cnt: u32,
        pad: u32,
        prog_attach_flags: u64,
    }
    let mut ids = vec![0_u32; QUERY_MAX];
    let mut flags = vec![0_u32; QUERY_MAX];
    let mut attr = Attr {
        target_fd: number(cgroup.as_raw_fd()),
        attach_type: kind,
        query_flags: if effective { F_QUERY_EFFECTIVE } else { 0 },
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: QUERY_MAX as u32,
        // The kernel demands it for LSM programs of the cgroup itself, and forbids it for effective.
        prog_attach_flags: if effective { 0 } else { flags.as_mut_ptr() as u64 },
        ..Attr::default()
    };
    // SAFETY: both lists have room for `prog_cnt` numbers and outlive the call.
    unsafe { call(PROG_QUERY, &mut attr) }?;
    ids.truncate(attr.prog_cnt as usize);
    Ok(ids)
}

/// What the kernel says of a link to a cgroup.
///
/// # Errors
/// The kernel's, and when the link leads to something else than a cgroup.
pub fn cgroup_link(link: BorrowedFd<'_>) -> io::Result<CgroupLink> {
    const CGROUP: u32 = 3;
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        kind: u32,
        id: u32,
        prog_id: u32,
        pad: u32,
        cgroup_id: u64,
        attach_type: u32,
        end: u32,
    }
    let mut info = Info::default();
    // SAFETY: the record is of plain numbers, and its size is given with it.
    unsafe { info_of(link, &mut info) }?;
    if info.kind != CGROUP {
        return Err(io::Error::other(format!("a link of kind {}", info.kind)));
    }
    Ok(CgroupLink { program: info.prog_id, cgroup: info.cgroup_id, attach_type: info.attach_type })
}

/// The ids of the maps that a program uses.
///
/// # Errors
/// The kernel's; it tells root alone.
pub fn program_maps(program: u32) -> io::Result<Vec<u32>> {
    // struct bpf_prog_info up to `map_ids`.
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        kind: u32,
        id: u32,
        tag: [u8; 8],
        jited_prog_len: u32,
        xlated_prog_len: u32,
        jited_prog_insns: u64,
        xlated_prog_insns: u64,
        load_time: u64,
        created_by_uid: u32,
        nr_map_ids: u32,
        map_ids: u64,
    }
    let mut attr = [program, 0, 0];
    // SAFETY: the record is of plain numbers.
    let program = unsafe { call_for_fd(PROG_GET_FD_BY_ID, &mut attr) }?;
    let mut ids = vec![0_u32; PROGRAM_MAPS_MAX];
    let mut info = Info {
        nr_map_ids: PROGRAM_MAPS_MAX as u32,
        map_ids: ids.as_mut_ptr() as u64,
        ..Info::default()
    };
    // SAFETY: the list has room for `nr_map_ids` numbers and outlives the call.
    unsafe { info_of(std::os::fd::AsFd::as_fd(&program), &mut info) }?;
    ids.truncate(info.nr_map_ids as usize);
    Ok(ids)
}

/// The id of a map.
///
/// # Errors
/// The kernel's.
pub fn map_id(map: BorrowedFd<'_>) -> io::Result<u32> {
    // struct bpf_map_info up to `id`.
    let mut info = [0_u32; 2];
    // SAFETY: the record is of plain numbers, and its size is given with it.
    unsafe { info_of(map, &mut info) }?;
    Ok(info[1])
}

#[repr(C)]
struct PathAttr {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
}

/// # Safety
/// `T` must be a prefix of the kernel's record for the object, of plain numbers; a pointer in it
/// must lead to as much memory as the record says.
unsafe fn info_of<T>(object: BorrowedFd<'_>, info: &mut T) -> io::Result<()> {
    #[repr(C)]
    struct Attr {
        bpf_fd: u32,
        info_len: u32,
        info: u64,
    }
    let mut attr = Attr {
        bpf_fd: number(object.as_raw_fd()),
        info_len: size_of::<T>() as u32,
        info: std::ptr::from_mut(info) as u64,
    };
    // SAFETY: the kernel writes at most `info_len` bytes; the rest is the caller's promise.
    unsafe { call(OBJ_GET_INFO_BY_FD, &mut attr) }.map(|_zero| ())
}

/// # Safety
/// As for [`call`], and the command must answer with a descriptor.
unsafe fn call_for_fd<T>(command: libc::c_int, attr: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise.
    let fd = unsafe { call(command, attr) }?;
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made it for us, close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// # Safety
/// `attr` must be a prefix of the command's member of `union bpf_attr`, without padding bytes, and
/// each pointer in it must lead to memory of the size that the record says.
unsafe fn call<T>(command: libc::c_int, attr: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: the caller's promise; the size is the record's own.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}

/// An open descriptor is never negative.
fn number(fd: RawFd) -> u32 {
    fd as u32
}
