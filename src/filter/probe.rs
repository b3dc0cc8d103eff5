//! Answers of the module of `make trap`, for `tests/jose.rs`: what do both ways to
//! verify say of these signatures? It is in no other module.

use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::keys::{Algorithm, Crypto, Keys};

/// Sets of keys, and what is asked about them.
#[derive(Deserialize)]
struct Questions {
    sets: Vec<Vec<Value>>,
    asked: Vec<Question>,
}

#[derive(Deserialize)]
struct Question {
    set: usize,
    kid: Option<String>,
    alg: String,
    jws: String,
}

/// Does the request ask?
pub(super) fn is_asked() -> bool {
    hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, "x-probe").ok().flatten().is_some()
}

/// Answers it.
pub(super) fn answer(size: usize, crypto: &Crypto) {
    let body = hostcalls::get_buffer(BufferType::HttpRequestBody, 0, size).ok().flatten().unwrap_or_default();
    let answer = match serde_json::from_slice(&body) {
        Ok(questions) => verdicts(&questions, crypto),
        Err(error) => json!({"error": error.to_string()}),
    };
    let _ = hostcalls::send_http_response(200, Vec::new(), Some(answer.to_string().as_bytes()));
}

/// By question: the verdict with the host, the verdict of the module alone, and the
/// nanoseconds that they took.
fn verdicts(questions: &Questions, crypto: &Crypto) -> Value {
    let sets: Vec<Keys> = questions.sets.iter().map(|set| Keys::read(set).0).collect();
    let alone = Crypto::default();
    let verdict = |question: &Question, crypto: &Crypto| {
        let started = now();
        let algorithm = Algorithm::from_name(&question.alg);
        let found = sets.get(question.set).zip(algorithm);
        let key = found.and_then(|(keys, algorithm)| keys.find(question.kid.as_deref(), algorithm));
        let verified = key.is_some_and(|key| key.verify(&question.jws, crypto).is_ok());
        let took = now().saturating_sub(started).as_nanos();
        (verified, u64::try_from(took).unwrap_or(u64::MAX))
    };
    let answers = questions.asked.iter().map(|question| {
        let ((host, host_took), (module, module_took)) = (verdict(question, crypto), verdict(question, &alone));
        json!([host, module, host_took, module_took])
    });
    let answers: Vec<Value> = answers.collect();
    json!({"proven": crypto.proven().map(Algorithm::name).collect::<Vec<_>>(), "answers": answers})
}

fn now() -> Duration {
    super::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default()
}
