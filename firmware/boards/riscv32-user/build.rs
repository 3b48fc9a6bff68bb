//! Puts the plan of the model that is linked where `inference` finds it.

#[cfg(feature = "model")]
#[path = "../../linked_model.rs"]
mod linked_model;

fn main() {
    #[cfg(feature = "model")]
    {
        let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
        linked_model::write("machine", &std::path::Path::new(&out).join("model.teff"));
    }
}
