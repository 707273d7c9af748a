//! The outside world of mail: IMAP, MIME, HTML, tokens, and the guard that every connection passes.
//!
//! Nothing of tenants, storage or HTTP answers may live here, and no retry: whoever calls decides when to try again.

pub mod decode;
pub mod egress;
pub mod html;
pub mod http;
pub mod imap;
pub mod mime;
pub mod oauth;
pub mod tls;
