//! Any bytes as an ONNX file.

#![no_main]

#[global_allocator]
static MEMORY: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, teff_fuzz::MEMORY);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| teff_fuzz::check::model(bytes));
