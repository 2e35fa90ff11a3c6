//! executor

mod settings;

pub use settings::Settings;
