//! Settings as values: the site's folder, its settings file, the embedded standard site.
//!
//! Nothing here reads the environment; the command line hands over a folder.

pub mod settings;
pub mod site;
pub mod text;

pub use settings::Settings;
pub use site::Site;
