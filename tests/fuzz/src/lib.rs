//! What the fuzz targets share: configurations and tokens that are the same in
//! each run, requests made of bytes, and an oracle that knows nothing of the
//! gate's own reading.

pub mod check;
pub mod issuer;
pub mod oracle;
pub mod request;
pub mod world;
