//! Any bytes as an TFLite file.

#![no_main]

#[global_allocator]
static MEMORY: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, teff_fuzz::MEMORY);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // The identifier tells the format; without it nothing would be read as TFLite.
    let mut bytes = bytes.to_vec();
    if let Some(identifier) = bytes.get_mut(4..8) {
        identifier.copy_from_slice(b"TFL3");
    }
    teff_fuzz::check::model(&bytes);
});
