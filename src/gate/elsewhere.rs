//! What is at no endpoint: metadata documents, which are served without a token,
//! and what is none of the gate's business.

use super::head::{claimed, is_alike};
use super::{Elsewhere, Exchange, Gate, JSON, Step, cors};
use crate::denial::Denial;
use crate::http::{Edits, Head};
use crate::policy::Permit;
use crate::resource::{AUTHORIZATION_SERVER_PATH, Metadata, Resource};

impl Exchange {
    /// Not an endpoint: a metadata document, or nothing of ours.
    pub(super) fn handle_elsewhere(&mut self, gate: &Gate, head: &Head) -> Step {
        let has = |resource: &Resource| resource.metadata.paths.iter().any(|path| path.as_bytes() == head.path());
        if let Some((_, resource)) = gate.resource(head, has) {
            let Metadata { document, etag, .. } = &resource.metadata;
            return self.serve_metadata(resource, head, Some((document, Some(etag))));
        }
        let is_server = head.path() == AUTHORIZATION_SERVER_PATH.as_bytes();
        let has = |resource: &Resource| is_server && resource.metadata.authorization_server.is_some();
        if let Some((_, resource)) = gate.resource(head, has) {
            let document = resource.metadata.authorization_server.as_ref().and_then(|issuer| issuer.server_metadata());
            return self.serve_metadata(resource, head, document.as_deref().map(|document| (document, None)));
        }
        match gate.elsewhere {
            Elsewhere::Refuse => self.refuse(Denial::ResourceUnknown, None, None),
            // What a server may take for an endpoint of its own is not elsewhere.
            Elsewhere::Pass if gate.resources.iter().any(|resource| is_alike(head.path(), &resource.path)) => {
                self.refuse(Denial::ResourceUnknown, None, None)
            }
            Elsewhere::Pass => {
                let edits = Edits { remove: claimed(head), ..Edits::default() };
                self.forward(&Permit::unprotected(), edits, "unprotected")
            }
        }
    }

    /// Public by nature, and read by clients that run in a browser (RFC 9728 §3.1).
    fn serve_metadata(&mut self, resource: &Resource, head: &Head, document: Option<(&str, Option<&String>)>) -> Step {
        self.record.resource = Some(resource.url().to_owned());
        let everyone = ("access-control-allow-origin", "*".to_owned());
        match (head.method(), document) {
            _ if !resource.has_host(head) => self.refuse(Denial::HostRefused, None, None),
            (b"GET" | b"HEAD", None) => self.refuse(Denial::MetadataUnavailable, None, None),
            (b"GET" | b"HEAD", Some((document, etag))) => {
                let mut headers = vec![everyone, ("cache-control", "public, max-age=300".into())];
                headers.extend(etag.map(|etag| ("etag", etag.clone())));
                if etag.is_some_and(|etag| head.text("if-none-match") == Some(etag)) {
                    return self.serve(304, headers, String::new(), "served");
                }
                headers.push(("content-type", JSON.into()));
                self.serve(200, headers, document.to_owned(), "served")
            }
            _ if cors::is_preflight(head) => {
                let mut headers = cors::preflight(head);
                headers.push(everyone);
                self.serve(204, headers, String::new(), "preflight")
            }
            _ => self.refuse(Denial::MethodRefused { allow: "GET, HEAD" }, None, None),
        }
    }
}
