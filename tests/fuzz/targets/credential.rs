//! What is presented, and what is fetched to judge it: headers and claims under
//! good signatures and others, key sets, metadata documents, and what an issuer
//! says of a token. An identity comes only from what the fixture's key signed, or
//! its issuer vouched for; and a challenge is one line that clients read back.

#![no_main]

use std::rc::Rc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use mcp_gate::gate::{Exchange, Gate, Step};
use mcp_gate::http::{Head, Reply};
use mcp_gate::keys::{Algorithm, Crypto, Keys};
use mcp_gate::outbound::Answer;
use mcp_gate::policy::Peer;
use mcp_gate::source::{self, Schedule, Source};
use mcp_gate_fuzz::issuer::{self, ISSUER, Issuer, METADATA_URL, SCOPE};
use mcp_gate_fuzz::world::{AUTHORITY, now};
use serde_json::Value;

/// Codes of who is known, and may not.
const KNOWN: [&str; 7] = [
    "permitted",
    "scope_missing",
    "step_up_required",
    "policy_type",
    "policy_error",
    "policy_timeout",
    "policy_undefined",
];

thread_local!(static FIXTURE: Issuer = Issuer::new());

fuzz_target!(|data: &[u8]| FIXTURE.with(|fixture| {
    let Some((mode, text)) = data.split_first() else { return };
    let (first, second) = halves(text);
    match mode % 6 {
        0 => signed(fixture, first, second),
        1 => raw(fixture, text),
        2 => {
            let token = fixture.token(false, first, second);
            assert!(!is_known(&ask(&fixture.signed, token.as_bytes(), None)), "another's key");
        }
        3 => key_set(fixture, text),
        4 => vouched(fixture, text),
        _ => documents(fixture, first, second),
    }
}));

/// Two texts with an empty line between them.
fn halves(text: &[u8]) -> (&[u8], &[u8]) {
    match text.windows(2).position(|window| window == b"\n\n") {
        Some(end) => (&text[..end], &text[end + 2..]),
        None => (text, b""),
    }
}

/// What became of a stream that somebody wants to open with this token: the code, whose it is, and the answer.
type Outcome = (&'static str, Option<String>, Option<Reply>);

fn ask(gate: &Rc<Gate>, token: &[u8], answer: Option<Answer>) -> Outcome {
    let head = vec![
        (":method".to_owned(), b"GET".to_vec()),
        (":path".to_owned(), b"/mcp".to_vec()),
        (":authority".to_owned(), AUTHORITY.into()),
        ("authorization".to_owned(), [b"Bearer ", token].concat()),
    ];
    let mut exchange = Exchange::new(Some(Rc::clone(gate)), "d".into());
    let mut step = exchange.handle_head(Head::new(head), true, Peer::default(), now());
    if let Step::Ask(question) = &step {
        assert!(!format!("{question:?} {exchange:?}").contains("secret"), "a secret is shown");
        step = exchange.handle_answer(answer.ok_or_else(|| "no answer".into()), now());
    }
    let (code, line) = exchange.record(now());
    let record: Value = serde_json::from_str(&line).expect("a record is JSON");
    let subject = record["subject"].as_str().map(str::to_owned);
    match step {
        Step::Forward(_) => {
            assert_eq!(code, "permitted");
            (code, subject, None)
        }
        Step::Reply(reply) => {
            challenge(&reply, code);
            (code, subject, Some(reply))
        }
        _ => panic!("a request without a body is decided"),
    }
}

fn is_known(outcome: &Outcome) -> bool {
    KNOWN.contains(&outcome.0)
}

/// Any header and any claims, signed by the key that the gate believes.
fn signed(fixture: &Issuer, header: &[u8], payload: &[u8]) {
    let token = fixture.token(true, header, payload);
    let outcome = ask(&fixture.signed, token.as_bytes(), None);
    if is_known(&outcome) {
        assert!(issuer::is_good_header(header), "a header that is none of an access token");
        let subject = issuer::subject_of(payload).expect("claims that are not good for this resource, now");
        assert!(is_of(&outcome, &subject), "somebody else");
    }
    // Remembered or not, it is what it was, unless the machine had other things to do.
    let again = ask(&fixture.signed, token.as_bytes(), None);
    assert!(again == outcome || [again.0, outcome.0].contains(&"policy_timeout"), "the second time: {again:?}");
}

/// Is it about this subject? A record holds the start of a long one.
fn is_of(outcome: &Outcome, subject: &str) -> bool {
    outcome
        .1
        .as_ref()
        .is_some_and(|shown| shown == subject || (shown.len() > 250 && subject.starts_with(shown.as_str())))
}

/// Any text, and the good token with some of it in the place of a few of its bytes: it
/// is good only if it is the one that is.
fn raw(fixture: &Issuer, text: &[u8]) {
    let good = fixture.good.as_bytes();
    let changed = text.split_first_chunk::<3>().map(|([high, low, removed], instead)| {
        let from = usize::from(u16::from_be_bytes([*high, *low])) % (good.len() + 1);
        let to = (from + usize::from(*removed % 8)).min(good.len());
        [&good[..from], instead, &good[to..]].concat()
    });
    for token in [Some(text.to_vec()), changed].into_iter().flatten() {
        let outcome = ask(&fixture.signed, &token, None);
        assert!(!is_known(&outcome) || token == good, "a token that nobody made");
    }
}

/// Any set of keys: nothing but the fixture's own key verifies what it signed.
fn key_set(fixture: &Issuer, text: &[u8]) {
    let Ok(Value::Object(set)) = serde_json::from_slice::<Value>(text) else { return };
    let Some(Value::Array(jwks)) = set.get("keys") else { return };
    let (keys, unusable) = Keys::read(jwks);
    assert!(unusable.is_sorted_by(|a, b| a.0 < b.0), "each key is named once, in order");
    for (index, reason) in &unusable {
        assert!(*index < jwks.len() && !reason.is_empty());
    }
    for (index, jwk) in jwks.iter().enumerate() {
        let is_private = ["d", "p", "q", "dp", "dq", "qi", "k"].iter().any(|name| jwk.get(name).is_some());
        let is_refused = unusable.iter().any(|(unusable, _)| *unusable == index);
        assert!(is_refused || !(is_private || jwk["kty"] == "oct"), "a private or shared key: {jwk}");
    }
    verify(fixture, &keys, text);
}

fn verify(fixture: &Issuer, keys: &Keys, set: &[u8]) {
    let names = ["es256", "a", ""].map(Some).into_iter().chain([None]);
    for (kid, algorithm) in names.flat_map(|kid| Algorithm::ALL.map(|algorithm| (kid, algorithm))) {
        let Some(key) = keys.find(kid, algorithm) else { continue };
        let is_good = key.verify(&fixture.good, &Crypto::default()).is_ok();
        assert!(!is_good || (algorithm == Algorithm::ES256 && fixture.is_in(set)), "{kid:?} {algorithm}");
    }
}

/// A good answer of this body.
fn json(body: &[u8]) -> Answer {
    let headers = [(":status", "200"), ("content-type", "application/json")];
    Answer::new(headers.map(|(name, value)| (name.to_owned(), value.into())).to_vec(), body.to_vec())
}

/// Any answer of an issuer about an opaque token.
fn vouched(fixture: &Issuer, body: &[u8]) {
    // A token of its own: a yes is remembered.
    let digest: u64 = body
        .iter()
        .fold(14_695_981_039_346_656_037, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(1_099_511_628_211));
    let token = format!("opaque-{digest:016x}-{}", body.len());
    let outcome = ask(&fixture.asking, token.as_bytes(), Some(json(body)));
    if is_known(&outcome) {
        let subject = issuer::vouched(body).expect("an answer that is no yes");
        assert!(is_of(&outcome, &subject), "somebody else");
    }
}

/// Any metadata, and any set behind it.
fn documents(fixture: &Issuer, metadata: &[u8], set: &[u8]) {
    let origins = [("https://keys.example.com", "keys")].map(|(origin, cluster)| (origin.into(), cluster.into()));
    let schedule = Schedule { refresh: 300, keep: 86_400 };
    let Ok(source) = Source::discover(ISSUER, "as", origins.into(), schedule) else { panic!("a good issuer") };
    let mut asked = 0;
    for second in 0..20 {
        let now = now() + Duration::from_secs(second);
        let mut step = source.poll(0, now);
        loop {
            step = match step {
                source::Step::Rest => break,
                source::Step::Look => source.handle_lease(None, now),
                source::Step::Read => source.handle_documents(None, now),
                source::Step::Write(_) => source.handle_written(true, now),
                source::Step::Send(id, outbound) => {
                    asked += 1;
                    assert!(asked < 200, "it asks again and again");
                    let headers = outbound.headers();
                    let header =
                        |name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
                    let authority = header(":authority").unwrap_or_default();
                    let place =
                        (outbound.endpoint.cluster.as_str(), authority.strip_suffix(":443").unwrap_or(authority));
                    let is_allowed = [("as", "as.example.com"), ("keys", "keys.example.com")].contains(&place);
                    assert!(is_allowed && header(":scheme") == Some("https"), "it asks {place:?}");
                    assert!(headers.iter().all(|(_, value)| value.bytes().all(|byte| (0x20..0x7f).contains(&byte))));
                    let is_metadata = header(":path").is_some_and(|path| path.starts_with("/.well-known/"));
                    let is_believed = issuer::issuer_of(metadata).as_deref() == Some(ISSUER);
                    assert!(is_metadata || is_believed, "it believes another issuer");
                    let body = if is_metadata && outbound.endpoint.cluster == "as" { metadata } else { set };
                    source.handle_answer(id, Ok(json(body)), now)
                }
            };
        }
    }
    let keys = source.keys();
    // A set may stand where the metadata does.
    let all = [metadata, set].into_iter().find(|set| fixture.is_in(set)).unwrap_or(b"null");
    verify(fixture, &keys, all);
}

/// A challenge is one line of visible ASCII, from which the pattern of the official
/// clients reads what it says.
fn challenge(reply: &Reply, code: &str) {
    let mut lines = reply.headers.iter().filter(|(name, _)| *name == "www-authenticate").map(|(_, value)| value);
    let Some(line) = lines.next() else {
        assert!(reply.status != 401 && code != "scope_missing", "no challenge");
        return;
    };
    assert!(lines.next().is_none() && line.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{line:?}");
    assert!(line.starts_with("Bearer "), "{line}");
    assert_eq!(field(line, "resource_metadata"), Some(METADATA_URL), "{line}");
    let error = field(line, "error");
    match code {
        "scope_missing" => {
            assert_eq!((reply.status, error), (403, Some("insufficient_scope")), "{line}");
            let scopes: Vec<&str> = field(line, "scope").expect("scopes").split(' ').collect();
            assert!(scopes.iter().all(|scope| !scope.is_empty()), "{line}");
        }
        "step_up_required" => assert_eq!(error, Some("insufficient_user_authentication"), "{line}"),
        _ => {
            assert!(matches!(error, None | Some("invalid_token")), "{line}");
            assert_eq!(field(line, "scope"), Some(SCOPE), "{line}");
        }
    }
}

/// `name=(?:"([^"]+)"|([^\s,]+))` of @modelcontextprotocol/sdk, client/auth.
fn field<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let pattern = format!("{name}=");
    let mut rest = line;
    while let Some(at) = rest.find(&pattern) {
        rest = &rest[at + pattern.len()..];
        let quoted = rest.strip_prefix('"').and_then(|text| text.split_once('"')).map(|(text, _)| text);
        if let Some(text) = quoted.filter(|text| !text.is_empty()) {
            return Some(text);
        }
        let end = rest.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(rest.len());
        if end > 0 {
            return Some(&rest[..end]);
        }
    }
    None
}
