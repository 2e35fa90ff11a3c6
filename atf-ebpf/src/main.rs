//! The kernel half of the cage. Every program asks the same question, whether the run is live
//! (`atf_common::verdict`), and most of them forbid what they see even then.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod hooks;
mod maps;
mod report;
mod run;

/// The verifier refuses a program that can loop for ever, so no program that can panic is loaded.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel lends its LSM hooks to programs under the GPL alone.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
