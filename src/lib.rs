//! A policy gate for the Model Context Protocol, as a filter for Envoy.
//!
//! A request meets the modules of this crate in the order in which they are
//! listed below. All but the first are plain functions of their arguments: they
//! read no clock, no file and no socket, and do not know that Envoy exists.
//! `filter` is the only module that does, and it exists only on wasm32.

#[cfg(target_arch = "wasm32")]
mod filter;

pub mod config;
pub mod gate;
pub mod listing;
pub mod sse;
pub mod resource;
pub mod token;
pub mod replay;
pub mod source;
pub mod keys;
pub mod session;
pub mod catalogue;
pub mod mcp;
pub mod outbound;
pub mod json;
pub mod policy;
pub mod rego;
pub mod denial;
pub mod record;
pub mod store;
pub mod secret;
pub mod http;
