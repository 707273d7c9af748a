//! The client against scripted servers that do what real ones rarely do.

mod commands;
mod connecting;
mod fetching;
mod hostile;
mod idling;
mod logging_in;
mod server;
