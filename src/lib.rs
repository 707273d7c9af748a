//! postroom.
pub mod config;
pub mod mail;
pub mod model;
pub mod service;
pub mod store;
