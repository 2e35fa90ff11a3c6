//! Loads the programs whose attach type aya does not know: `connect_unix` and `sendmsg_unix`. aya's
//! own parser and relocation, and one bpf(2) call.

use std::collections::HashMap;
use std::os::fd::{OwnedFd, RawFd};

use aya_obj::Object;
use aya_obj::generated::bpf_insn;

use super::programs::{Program, SOCK_ADDR};
use crate::sys::bpf;

/// Loads `program` of the object in `bytes` with the maps that are open already.
///
/// # Errors
/// What the parser, the relocation or the kernel said.
pub(super) fn load(
    bytes: &[u8],
    program: &Program,
    maps: &HashMap<String, RawFd>,
) -> Result<OwnedFd, String> {
    let mut object = Object::parse(bytes).map_err(|error| error.to_string())?;
    let text = object.functions.keys().map(|(section, _)| *section).collect();
    let found: Vec<_> = object.maps.drain().collect();
    let mut open = Vec::with_capacity(found.len());
    for (name, map) in &found {
        let fd = maps.get(name).ok_or_else(|| format!("the map {name} is not open"))?;
        open.push((name.as_str(), *fd, map));
    }
    object.relocate_maps(open.into_iter(), &text).map_err(|error| error.to_string())?;
    object.relocate_calls(&text).map_err(|error| error.to_string())?;
    let entry = object.programs.get(program.name);
    let function = entry.and_then(|entry| object.functions.get(&entry.function_key()));
    let function = function.ok_or_else(|| format!("no program {} in the object", program.name))?;
    let instructions: Vec<u8> = function.instructions.iter().flat_map(encoded).collect();
    bpf::load(&bpf::Program {
        kind: SOCK_ADDR,
        attach_type: program.attach_type,
        instructions: &instructions,
        name: program.name,
    })
    .map_err(|error| error.to_string())
}

/// An instruction as the kernel reads it (RFC 9669, section 3), on a little-endian machine.
fn encoded(instruction: &bpf_insn) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[0] = instruction.code;
    bytes[1] = instruction.src_reg() << 4 | instruction.dst_reg();
    bytes[2..4].copy_from_slice(&instruction.off.to_le_bytes());
    bytes[4..8].copy_from_slice(&instruction.imm.to_le_bytes());
    bytes
}
