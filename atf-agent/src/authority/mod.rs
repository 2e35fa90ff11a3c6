//! authority

mod settings;

pub use settings::Settings;
