//! The VM: a Debian kernel, unpacked and not installed, an initramfs of our static binaries, QEMU; for
//! some, Debian on a disk.

mod archive;
mod cpio;
pub(crate) mod disk;
pub(crate) mod initramfs;
pub(crate) mod kernel;
mod modules;
pub(crate) mod qemu;
