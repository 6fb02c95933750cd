#[cfg(feature = "services")]
mod services;
