//! Tests over all dialects: the literal JSON of fixed values, and what each dialect has of the unified fields; what one
//! function does alone is tested beside it.

mod documents;
mod feather;
mod parity;
mod plannr;
mod problems;
mod requests;
mod sample;
mod v1;
mod words;
