//! The `newc` format of cpio, as the kernel unpacks it into its first file system
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::io::{self, Write};

/// A cpio archive being written.
pub(crate) struct Cpio<W> {
    to: W,
    inode: u32,
}

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_000;

impl<W: Write> Cpio<W> {
    /// An empty archive.
    pub(crate) fn new(to: W) -> Self {
        Self { to, inode: 0 }
    }

    /// Adds a folder, readable by all. Its parents must have been added before.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn folder(&mut self, path: &str) -> io::Result<()> {
        self.entry(path, FOLDER, &[])
    }

    /// Adds a file of root's with these permission bits.
    ///
    /// # Errors
    /// When it cannot be written, or is longer than the format can say.
    pub(crate) fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.entry(path, FILE | mode, content)
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.entry("TRAILER!!!", 0, &[])?;
        self.to.flush()
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.inode += 1;
        let size = u32::try_from(content.len()).map_err(io::Error::other)?;
        let name_size = u32::try_from(path.len() + 1).map_err(io::Error::other)?;
        // inode, mode, uid, gid, links, mtime, size, device (2), special device (2), name, check
        let fields = [self.inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        write!(self.to, "070701")?;
        for field in fields {
            write!(self.to, "{field:08x}")?;
        }
        self.to.write_all(path.as_bytes())?;
        self.to.write_all(&[0])?;
        self.pad(110 + path.len() + 1)?;
        self.to.write_all(content)?;
        self.pad(content.len())
    }

    fn pad(&mut self, length: usize) -> io::Result<()> {
        self.to.write_all(&[0; 3][..length.wrapping_neg() % 4])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_padded_to_four_bytes() -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut cpio = Cpio::new(&mut bytes);
        cpio.folder("d")?;
        cpio.file("d/f", 0o755, b"12345")?;
        cpio.finish()?;
        assert_eq!(bytes.len() % 4, 0);
        let headers = bytes.windows(6).enumerate().filter(|(_, window)| window == b"070701");
        let offsets: Vec<usize> = headers.map(|(at, _)| at).collect();
        assert_eq!(offsets, [0, 112, 112 + 116 + 8]);
        Ok(())
    }
}
