//! What a target of the gate does before its first input.

use std::path::Path;

/// Writes the seeds into the folder that `cargo xtask fuzz` names, out of which libFuzzer then takes them, and
/// leaves a panic of somebody else's crate to whoever catches it: the gate does, and refuses what it was
/// about. One of ours ends the target at once, caught or not.
///
/// # Panics
/// When a seed cannot be written.
pub fn begin(seeds: impl IntoIterator<Item = Vec<u8>>) {
    if let Some(folder) = std::env::var_os("ATF_FUZZ_SEEDS") {
        for (number, seed) in seeds.into_iter().enumerate() {
            let path = Path::new(&folder).join(number.to_string());
            std::fs::write(path, seed).expect("a seed can be written");
        }
    }
    let ends = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // The paths of the workspace's own sources are relative.
        match panic.location() {
            Some(place) if place.file().starts_with('/') => eprintln!("another crate's: {panic}"),
            Some(_) | None => ends(panic),
        }
    }));
}

/// A seed that stands for itself.
#[must_use]
pub fn as_bytes(text: &&str) -> Vec<u8> {
    text.as_bytes().to_vec()
}
