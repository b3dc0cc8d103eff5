//! Any JWK Set, any metadata, any bytes in what workers share. Keys come from a set
//! that other readers take for one, a call goes to an origin that was allowed, and
//! what one worker stored the next one reads alike.

#![no_main]

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use mcp_gate::http::Location;
use mcp_gate::outbound::{Answer, Endpoint};
use mcp_gate::source::{Schedule, Source, Step, Write};
use serde_json::Value;

const ISSUER: &str = "https://as.example.com/realms/x";
const ORIGINS: [&str; 2] = ["https://as.example.com", "https://keys.example.com"];
const SCHEDULE: Schedule = Schedule { refresh: 300, keep: 3600 };

/// P-256, from RFC 7517, Appendix A.1.
const SET: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"a"}]}"#;

fn url() -> Source {
    let location = Location::read("https://as.example.com/jwks").expect("a URL");
    Source::url(Endpoint { cluster: "as".into(), location }, SCHEDULE)
}

fn discover() -> Source {
    let origins = BTreeMap::from([(ORIGINS[1].to_owned(), "keys".to_owned())]);
    Source::discover(ISSUER, "as", origins, SCHEDULE).expect("an issuer")
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_392_000)
}

/// Does what a source says. Every call is answered by `answer`.
fn drive(source: &Source, shared: &mut HashMap<String, Vec<u8>>, mut answer: impl FnMut(&Endpoint) -> Vec<u8>) {
    let mut step = source.poll(1, now());
    for _ in 0..64 {
        step = match step {
            Step::Rest => return,
            Step::Look => source.handle_lease(shared.get(&source.lease_key()).map(Vec::as_slice), now()),
            Step::Read => source.handle_documents(shared.get(&source.documents_key()).map(Vec::as_slice), now()),
            Step::Write(Write { documents, lease }) => {
                shared.extend(documents.map(|documents| (source.documents_key(), documents)));
                shared.insert(source.lease_key(), lease);
                source.handle_written(true, now())
            }
            Step::Send(id, outbound) => {
                let headers = [(":status", "200"), ("content-type", "application/json")];
                let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).to_vec();
                let body = answer(&outbound.endpoint);
                source.handle_answer(id, Ok(Answer::new(headers, body)), now())
            }
        };
    }
    panic!("a source that never rests");
}

fn names(source: &Source) -> String {
    format!("{:?}", source.keys())
}

/// A worker that comes later has what is stored.
fn reread(source: &Source, shared: &mut HashMap<String, Vec<u8>>, other: &Source) {
    drive(other, shared, |_| panic!("what was stored is not read"));
    assert_eq!((names(source), source.metadata()), (names(other), other.metadata()));
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, text)) = data.split_first() else { return };
    let mut shared = HashMap::new();
    match kind {
        b'0' => {
            let source = url();
            drive(&source, &mut shared, |_| text.to_vec());
            if source.keys().is_empty() {
                return;
            }
            let set: Value = serde_json::from_slice(text).expect("keys of what is no JSON");
            let keys = set["keys"].as_array().expect("keys of what is no set");
            assert!(keys.iter().any(|key| key["kty"].is_string()) && keys.len() <= 100);
            reread(&source, &mut shared, &url());
        }
        b'1' => {
            let source = discover();
            drive(&source, &mut shared, |endpoint| {
                if endpoint.location.path().contains("/.well-known/") && endpoint.cluster == "as" {
                    return text.to_vec();
                }
                let metadata: Value = serde_json::from_slice(text).expect("a place in what is no JSON");
                assert_eq!(metadata["issuer"], ISSUER, "a place that another issuer names");
                assert_eq!(metadata["jwks_uri"], endpoint.location.to_string());
                assert!(ORIGINS.contains(&endpoint.location.origin().as_str()), "a place that nobody allowed");
                assert_eq!(endpoint.cluster, if endpoint.location.origin() == ORIGINS[0] { "as" } else { "keys" });
                SET.as_bytes().to_vec()
            });
            if !source.keys().is_empty() {
                assert_eq!(source.metadata().as_deref().map(str::as_bytes), Some(text));
                reread(&source, &mut shared, &discover());
            }
        }
        _ => {
            // Whatever is shared, one fetch later there are keys, and the next one reads them.
            let (source, mut asked) = (url(), 0);
            let key = if *kind == b'2' { source.lease_key() } else { source.documents_key() };
            if *kind == b'3' {
                drive(&url(), &mut shared, |_| SET.as_bytes().to_vec());
            }
            shared.insert(key, text.to_vec());
            for _ in 0..3 {
                drive(&source, &mut shared, |_| {
                    asked += 1;
                    SET.as_bytes().to_vec()
                });
            }
            assert!(asked <= 1, "one fetch is enough");
            // A lease that somebody holds may stand there, for a while.
            if !source.keys().is_empty() {
                assert_eq!(names(&source), "[\"a\"]");
            } else {
                assert_eq!(*kind, b'2', "no keys, although nobody fetches");
            }
        }
    }
});
