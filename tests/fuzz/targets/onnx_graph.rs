//! Well-formed ONNX files of any operators, attributes, shapes and constants.

#![no_main]

#[global_allocator]
static MEMORY: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, teff_fuzz::MEMORY);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = teff_fuzz::generate::onnx(bytes) {
        teff_fuzz::check::model(&file);
    }
});
