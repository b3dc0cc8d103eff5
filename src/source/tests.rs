//! What time alone decides.

use super::world::{ISSUER, METADATA, SCHEDULE, START, URL, Worker, World, endpoint, good, jwk, jwks, metadata};
use super::*;
use crate::keys::Algorithm;
use crate::outbound::LONGEST;

#[test]
fn jwk_06_two_workers_make_one_fetch() {
    let mut world = World::url(8);
    world.serve(URL, good(jwks(&["a"])));
    world.pass(1000);
    assert_eq!(world.asked.len(), 1);
    assert!(world.workers.iter().all(|worker| worker.has("a")));
    assert!(world.workers.iter().all(|worker| worker.source.generation() == 1));
}

#[test]
fn jwk_06_while_one_fetches_the_others_wait_for_it() {
    let mut world = World::url(3);
    world.serve(URL, good(jwks(&["a"])));
    world.delay = 1;
    world.pass(1000);
    assert_eq!(world.asked.len(), 1, "an answer is under way");
    assert!(world.workers.iter().all(Worker::is_cold));
    let step = world.answer(0);
    world.drive(0, step);
    world.pass(200);
    assert!(world.workers.iter().all(|worker| worker.has("a")));
    assert_eq!(world.asked.len(), 1);
}

#[test]
fn jwk_06_a_dead_holder_cannot_keep_the_lease() {
    let mut world = World::url(2);
    world.serve(URL, good(jwks(&["a"])));
    world.delay = 1;
    world.tick(0);
    assert_eq!(world.asked.len(), 1);
    // The first worker is gone, and never answers.
    world.delay = 0;
    let start = world.now;
    while world.workers[1].is_cold() {
        world.now += 200;
        world.tick(1);
        assert!(world.now < start + 5000, "the lease is not given back");
    }
    assert_eq!(world.asked.len(), 2);
}

#[test]
fn jwk_06_a_worker_that_goes_leaves_the_lease_to_the_next() {
    let mut world = World::url(2);
    world.serve(URL, good(jwks(&["a"])));
    world.delay = 1;
    world.tick(0);
    let step = world.workers[0].source.release();
    world.drive(0, step);
    world.delay = 0;
    world.tick(1);
    assert!(world.workers[1].has("a"));
    assert_eq!(world.workers[0].reason(), "(none failed)");
}

#[test]
fn jwk_06_a_cold_source_recovers_within_a_second() {
    let mut world = World::url(2);
    world.pass(60_000);
    assert!(world.workers.iter().all(Worker::is_cold));
    let tries: Vec<u64> = world.asked.iter().map(|(at, _)| *at).collect();
    assert!(tries.windows(2).all(|pair| pair[1] - pair[0] <= 800), "{tries:?}");
    assert!(tries.windows(2).all(|pair| pair[1] - pair[0] >= 200), "{tries:?}");
    world.serve(URL, good(jwks(&["a"])));
    world.pass(1000);
    assert!(world.workers.iter().all(|worker| worker.has("a")));
}

#[test]
fn jwk_05_failures_back_off_while_there_are_keys() {
    let mut world = World::url(1);
    world.serve(URL, good(jwks(&["a"])));
    world.pass(0);
    world.serve(URL, Err("no answer"));
    world.pass_seconds(1000);
    let tries: Vec<u64> = world.asked.iter().skip(1).map(|(at, _)| (*at - START) / 1000).collect();
    assert!((270..=331).contains(&tries[0]), "{tries:?}");
    // It doubles to half a minute, a tenth more or less, and the ticks of a second.
    assert!(tries.windows(2).all(|pair| pair[1] - pair[0] <= 34), "{tries:?}");
    assert!(
        tries.iter().rev().take(10).collect::<Vec<_>>().windows(2).all(|pair| pair[0] - pair[1] >= 27),
        "{tries:?}"
    );
    assert!(tries.len() < 36, "{tries:?}");
    assert!(world.workers[0].has("a"));
    // One good answer, and it is as before.
    world.serve(URL, good(jwks(&["b"])));
    world.pass_seconds(34);
    assert!(world.workers[0].has("b") && !world.workers[0].has("a"));
    let asked = world.asked.len();
    // It may have come at once.
    world.pass_seconds(269 - 34);
    assert_eq!(world.asked.len(), asked);
}

#[test]
fn jwk_05_last_good_keys_stay_for_as_long_as_it_says_and_then_there_are_none() {
    let mut world = World::url(2);
    world.serve(URL, good(jwks(&["a"])));
    world.pass(200);
    for answer in [
        good(br#"{"keys":[]}"#.to_vec()),
        good(b"{}".to_vec()),
        good(b"[]".to_vec()),
        good(b"<html>".to_vec()),
        Ok((200, "text/html", jwks(&["b"]))),
        Ok((204, "application/json", Vec::new())),
        Ok((301, "application/json", jwks(&["b"]))),
        Ok((500, "application/json", jwks(&["b"]))),
        Err("no answer"),
    ] {
        world.serve(URL, answer);
        world.pass_seconds(380);
        assert!(world.workers.iter().all(|worker| worker.has("a")), "{}", world.workers[0].reason());
    }
    // 3420 seconds are over.
    let generation = world.workers[1].source.generation();
    world.pass_seconds(179);
    assert!(world.workers.iter().all(|worker| worker.has("a")));
    world.pass_seconds(2);
    assert!(world.workers.iter().all(Worker::is_cold));
    assert!(world.workers.iter().all(|worker| worker.events.contains(&Event::Expired)));
    assert_ne!(world.workers[1].source.generation(), generation, "what was verified is verified anew");
    // What is shared is as old, for whoever comes.
    world.join(Source::url(endpoint("as", URL), SCHEDULE));
    world.pass_seconds(10);
    assert!(world.workers.iter().all(Worker::is_cold));
    world.serve(URL, good(jwks(&["a"])));
    world.pass_seconds(1);
    assert!(world.workers.iter().any(|worker| worker.has("a")));
}

#[test]
fn jwk_05_what_is_no_good_answer_is_refused_with_the_reason() {
    let mut world = World::url(1);
    let good_set = String::from_utf8(jwks(&["a"])).unwrap();
    let many = |count: usize| format!("{{\"keys\":[{}]}}", vec!["{}"; count].join(","));
    let twice = good_set.replacen('{', "{\"keys\":[],", 1);
    let alike = good_set.replacen('{', "{\"Keys\":[],", 1);
    let long = format!("{good_set}{}", " ".repeat(LONGEST));
    for (status, media_type, body, reason) in [
        (200, "application/json", r#"{"keys":[]}"#, "expected at least one key that can be used, found 0"),
        (
            200,
            "application/json",
            r#"{"keys":[{"kty":"oct","k":"AA"}]}"#,
            "expected at least one key that can be used, found 1",
        ),
        (200, "application/json", r#"{"keys":{}}"#, "expected a JWK Set"),
        (200, "application/json", "{}", "expected a JWK Set"),
        (200, "application/json", "[]", "expected an object of strict JSON, found another value"),
        (200, "application/json", "", "expected an object of strict JSON, found what is none"),
        (200, "application/json", "<html></html>", "expected an object of strict JSON, found what is none"),
        (
            200,
            "application/json",
            good_set.trim_end_matches('}'),
            "expected an object of strict JSON, found what is none",
        ),
        (
            200,
            "application/json",
            &format!("\u{feff}{good_set}"),
            "expected an object of strict JSON, found what is none",
        ),
        (200, "application/json", &twice, "expected an object of strict JSON, found a member twice"),
        (
            200,
            "application/json",
            &alike,
            "expected an object of strict JSON, found two members whose names look alike",
        ),
        (200, "application/json", &many(101), "expected at most 100 keys, found 101"),
        (200, "application/json", &many(10_001), "expected at most 100 keys, found 10001"),
        (200, "application/json", &long, "expected at most 262144 bytes, found more"),
        (200, "text/html", &good_set, "expected content-type application/json, found `text/html`"),
        (200, "", &good_set, "expected content-type application/json, found ``"),
        (200, "application/jsonx", &good_set, "expected content-type application/json, found `application/jsonx`"),
        (204, "application/json", "", "expected status 200, found 204"),
        (206, "application/json", &good_set, "expected status 200, found 206"),
        (301, "application/json", &good_set, "expected status 200, found 301"),
        (404, "application/json", &good_set, "expected status 200, found 404"),
        (500, "application/json", &good_set, "expected status 200, found 500"),
    ] {
        world.serve(URL, Ok((status, media_type, body.into())));
        world.pass(1000);
        assert!(world.workers[0].is_cold(), "{reason}");
        assert!(world.workers[0].reason().starts_with(reason), "{reason}: {}", world.workers[0].reason());
    }
    for media_type in ["application/json", "Application/JSON; charset=utf-8", "application/jwk-set+json"] {
        let mut world = World::url(1);
        world.serve(URL, Ok((200, media_type, good_set.clone().into())));
        world.pass(0);
        assert!(world.workers[0].has("a"), "{media_type}");
    }
}

#[test]
fn jwk_12_a_call_that_cannot_be_made_is_a_failure_and_is_tried_again() {
    let mut world = World::url(1);
    world.serve(URL, Err("expected a cluster of this name, found none"));
    world.pass(3000);
    assert!(world.workers[0].is_cold());
    assert_eq!(world.workers[0].reason(), "expected a cluster of this name, found none");
    let failures = world.workers[0].events.iter().filter_map(|event| match event {
        Event::Failed { failures, .. } => Some(*failures),
        _ => None,
    });
    let failures: Vec<u64> = failures.collect();
    assert!(
        failures.len() >= 4 && failures.iter().zip(1..).all(|(found, expected)| *found == expected),
        "{failures:?}"
    );
}

#[test]
fn jwk_12_an_answer_that_nobody_waits_for_is_dropped() {
    let mut world = World::url(1);
    world.serve(URL, good(jwks(&["a"])));
    world.delay = 1;
    world.tick(0);
    let late = world.workers[0].waiting.clone();
    // No answer within the lease: it failed, and the next one is under way.
    world.pass(6000);
    assert!(world.workers[0].reason().starts_with("expected answers in time"));
    assert_ne!(world.workers[0].waiting, late);
    let (now, (id, _)) = (world.time(), late.unwrap());
    let answer = Answer::new(Vec::new(), Vec::new());
    assert_eq!(world.workers[0].source.handle_answer(id, Ok(answer), now), Step::Rest);
    let step = world.answer(0);
    world.drive(0, step);
    assert!(world.workers[0].has("a"));
}

#[test]
fn jwk_07_a_new_kid_is_fetched_at_once_and_the_old_key_goes_with_it() {
    let mut world = World::url(2);
    world.serve(URL, good(jwks(&["old"])));
    world.pass_seconds(60);
    world.serve(URL, good(jwks(&["old", "new"])));
    // A token of the new key comes.
    world.workers[1].source.miss(world.time());
    world.pass(200);
    assert!(world.workers.iter().all(|worker| worker.has("old") && worker.has("new")), "both overlap");
    assert!(world.workers[1].events.contains(&Event::Forced));
    let generation = world.workers[0].source.generation();
    world.serve(URL, good(jwks(&["new"])));
    world.pass_seconds(331);
    assert!(world.workers.iter().all(|worker| !worker.has("old") && worker.has("new")));
    assert_ne!(world.workers[0].source.generation(), generation);
}

#[test]
fn jwk_07_a_key_that_is_replaced_under_the_same_kid_is_taken_within_the_bound() {
    let mut world = World::url(2);
    world.serve(URL, good(jwks(&["a"])));
    world.pass(200);
    let generation = world.workers[1].source.generation();
    world.serve(URL, good(jwks(&["a"])));
    // `refresh` and a tenth, and a tick.
    world.pass_seconds(331);
    assert!(world.workers.iter().all(|worker| worker.has("a") && worker.source.generation() > generation));
}

#[test]
fn jwk_10_the_generation_stays_while_the_keys_do() {
    let mut world = World::url(2);
    world.serve(URL, good(jwks(&["a"])));
    world.pass_seconds(4000);
    assert!(world.asked.len() > 10);
    assert!(world.workers.iter().all(|worker| worker.has("a") && worker.source.generation() == 1));
}

#[test]
fn jwk_08_a_flood_of_unknown_kids_forces_one_fetch_in_each_cool_down() {
    let mut world = World::url(2);
    world.serve(URL, good(jwks(&["a"])));
    world.pass_seconds(60);
    let asked = world.asked.len();
    for _ in 0..10_000 {
        world.workers[0].source.miss(world.time());
        world.workers[1].source.miss(world.time());
        world.now += 1;
        if world.now.is_multiple_of(100) {
            world.tick(0);
            world.tick(1);
        }
    }
    assert_eq!(world.asked.len(), asked + 1);
    // What was missed since then is looked for once the cool-down is over.
    world.pass_seconds(40);
    assert_eq!(world.asked.len(), asked + 2);
    world.pass_seconds(100);
    assert_eq!(world.asked.len(), asked + 2);
}

#[test]
fn jwk_08_a_forced_fetch_that_fails_waits_for_the_cool_down() {
    let mut world = World::url(1);
    world.serve(URL, good(jwks(&["a"])));
    world.pass_seconds(60);
    world.serve(URL, Err("no answer"));
    let asked = world.asked.len();
    world.workers[0].source.miss(world.time());
    world.pass_seconds(29);
    assert_eq!(world.asked.len(), asked + 1);
    world.pass_seconds(31);
    assert_eq!(world.asked.len(), asked + 2);
}

#[test]
fn a_new_configuration_begins_with_the_keys_that_are_there() {
    let mut world = World::url(1);
    world.serve(URL, good(jwks(&["a"])));
    world.pass(0);
    // Another schedule, the same place.
    world.join(Source::url(endpoint("as", URL), Schedule { refresh: 60, keep: 600 }));
    world.tick(1);
    assert!(world.workers[1].has("a"));
    assert_eq!(world.asked.len(), 1);
    // It is asked as often as the new one says.
    world.workers.remove(0);
    world.pass_seconds(67);
    assert_eq!(world.asked.len(), 2);
    // Another place has keys of its own.
    for other in [endpoint("other", URL), endpoint("as", "https://as.example.com/other")] {
        let asked = world.asked.len();
        world.join(Source::url(other, SCHEDULE));
        world.pass(0);
        assert_eq!(world.asked.len(), asked + 1);
    }
}

#[test]
fn pw_15_what_is_shared_is_read_as_strictly_as_what_was_fetched() {
    let mut world = World::url(1);
    world.serve(URL, good(jwks(&["a"])));
    world.pass(0);
    let (lease, documents) = (world.workers[0].source.lease_key(), world.workers[0].source.documents_key());
    let stored = world.shared[&documents].0.clone();
    for poison in [
        Vec::new(),
        b"-".to_vec(),
        b"-\n{\"keys\":[]}".to_vec(),
        b"99\n{}".to_vec(),
        [b"2\n{}", &stored[2..]].concat(),
        [b"-\n", jwks(&["evil"]).as_slice()].concat(),
        stored[..stored.len() - 1].to_vec(),
    ] {
        world.shared.get_mut(&documents).unwrap().0 = poison;
        world.serve(URL, Err("no answer"));
        world.join(Source::url(endpoint("as", URL), SCHEDULE));
        let last = world.workers.len() - 1;
        world.pass(1000);
        assert!(world.workers[0].has("a"), "whoever has keys keeps them");
        assert!(world.workers[last].is_cold());
        // Nobody else asks before the keys are old, so it does.
        world.serve(URL, good(jwks(&["a"])));
        world.pass(1000);
        assert!(world.workers[last].has("a"));
    }
    // What is no lease is none.
    world.shared.get_mut(&lease).unwrap().0 = b"mcp-gate-keys-0 1 2 3".to_vec();
    world.pass(200);
    assert!(Lease::read(&world.shared[&lease].0).is_some());
}

#[test]
fn pw_15_workers_that_write_at_once_lose_nothing() {
    let mut world = World::url(2);
    world.serve(URL, good(jwks(&["a"])));
    // Both looked before one wrote: the second is refused, and rests.
    let now = world.time();
    let steps: Vec<_> = world
        .workers
        .iter()
        .map(|worker| {
            let look = worker.source.poll(worker.seed, now);
            assert_eq!(look, Step::Look);
            worker.source.handle_lease(None, now)
        })
        .collect();
    assert!(steps.iter().all(|step| matches!(step, Step::Write(_))));
    assert!(matches!(world.workers[0].source.handle_written(true, now), Step::Send(..)));
    assert_eq!(world.workers[1].source.handle_written(false, now), Step::Rest);
    // A result that cannot be written is given up, and the keys are there.
    let headers = [(":status", "200"), ("content-type", "application/json")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).to_vec();
    let answer = Answer::new(headers, jwks(&["a"]));
    let mut step = world.workers[0].source.handle_answer(1, Ok(answer), now);
    for _ in 0..=ATTEMPTS {
        assert_eq!(step, Step::Look);
        assert!(matches!(world.workers[0].source.handle_lease(None, now), Step::Write(_)));
        step = world.workers[0].source.handle_written(false, now);
    }
    assert_eq!(step, Step::Rest);
    assert!(world.workers[0].has("a"));
}

#[test]
fn pw_17_the_clock_may_go_back() {
    let mut world = World::url(2);
    world.serve(URL, good(jwks(&["a"])));
    world.pass_seconds(400);
    world.now -= 100_000_000;
    world.serve(URL, good(jwks(&["b"])));
    world.pass_seconds(2);
    assert!(world.workers.iter().all(|worker| worker.has("b")));
    world.workers[0].source.miss(world.time());
    let asked = world.asked.len();
    world.pass_seconds(2);
    assert_eq!(world.asked.len(), asked + 1);
}

#[test]
fn a_bad_key_is_skipped_and_told_once() {
    let mut world = World::url(1);
    let set = serde_json::json!({"keys": [jwk("a"), {"kty": "oct", "k": "AA"}, {"kty": "EC"}]});
    world.serve(URL, good(set.to_string().into_bytes()));
    world.pass_seconds(4000);
    assert!(world.workers[0].has("a"));
    let told = world.workers[0].events.iter().filter_map(|event| match event {
        Event::Fetched { unusable, .. } if !unusable.is_empty() => Some(unusable.as_slice()),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 1);
    let indexes: Vec<usize> = told[0].iter().map(|(index, _)| *index).collect();
    assert_eq!(indexes, [1, 2]);
}

#[test]
fn keys_are_discovered_in_the_places_where_clients_look() {
    let places = [
        METADATA,
        "https://as.example.com/.well-known/openid-configuration/realms/x",
        "https://as.example.com/realms/x/.well-known/openid-configuration",
    ];
    for (index, place) in places.into_iter().enumerate() {
        let mut world = World::discover(2);
        world.serve(URL, good(jwks(&["a"])));
        world.serve(place, good(metadata(ISSUER, URL)));
        world.pass(200);
        assert!(world.workers.iter().all(|worker| worker.has("a")), "{place}");
        let text = world.workers[1].source.metadata().unwrap();
        assert_eq!(text.as_bytes(), metadata(ISSUER, URL), "as it came");
        let asked: Vec<_> = world.asked.iter().map(|(_, url)| url.as_str()).collect();
        assert_eq!(asked, [&places[..=index], &[URL]].concat());
    }
}

#[test]
fn jwk_11_metadata_of_somebody_else_is_refused() {
    let refused = |issuer: &str, uri: &str, reason: &str| {
        let mut world = World::discover(2);
        world.serve(METADATA, good(metadata(issuer, uri)));
        world.serve(uri, good(jwks(&["evil"])));
        world.pass(2000);
        assert!(world.workers.iter().all(Worker::is_cold), "{issuer} {uri}");
        assert_eq!(world.asked(uri), 0, "{uri}");
        assert!(world.workers[0].reason().starts_with(reason), "{reason}: {}", world.workers[0].reason());
    };
    for issuer in [
        "https://evil.example.com",
        "https://as.example.com/realms/x/",
        "https://as.example.com/realms/X",
        "https://AS.example.com/realms/x",
        "https://as.example.com:443/realms/x",
        "",
    ] {
        refused(issuer, URL, "expected the `issuer` of the configuration");
    }
    for uri in [
        "https://evil.example.com/jwks",
        "https://as.example.com.evil.example.com/jwks",
        "https://as.example.com:8443/jwks",
        "https://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:8000/jwks",
    ] {
        refused(ISSUER, uri, "jwks_uri: expected one of the origins https://as.example.com, found");
    }
    for uri in [
        "http://as.example.com/jwks",
        "http://169.254.169.254/latest/meta-data",
        "https://as.example.com@evil.example.com/jwks",
        "//evil.example.com/jwks",
        "/jwks",
        "file:///etc/passwd",
    ] {
        refused(ISSUER, uri, "jwks_uri: expected");
    }
}

#[test]
fn jwk_11_keys_may_live_on_an_origin_that_the_operator_listed() {
    let keys = "https://keys.example.com/x/jwks?v=1";
    let origins = || BTreeMap::from([("https://keys.example.com:443".to_owned(), "keys".to_owned())]);
    let make = || Source::discover(ISSUER, "as", origins(), SCHEDULE).unwrap();
    let mut world = World::new(1, make);
    world.serve(METADATA, good(metadata(ISSUER, keys)));
    world.serve(keys, good(jwks(&["a"])));
    world.delay = 1;
    world.tick(0);
    assert_eq!(world.workers[0].waiting.as_ref().unwrap().1.endpoint.cluster, "as");
    let step = world.answer(0);
    world.drive(0, step);
    let (_, asked) = world.workers[0].waiting.clone().unwrap();
    assert_eq!(asked.endpoint, endpoint("keys", keys));
    let headers = asked.headers();
    let header = |name: &str| headers.iter().find(|(header, _)| *header == name).unwrap().1.as_str();
    assert_eq!((header(":method"), header(":scheme")), ("GET", "https"));
    assert_eq!((header(":authority"), header(":path")), ("keys.example.com", "/x/jwks?v=1"));
    assert_ne!(make().lease_key(), World::discover(1).workers[0].source.lease_key());
}

#[test]
fn jwk_11_what_another_worker_discovered_is_held_against_the_same_rules() {
    let mut world = World::discover(1);
    world.serve(METADATA, good(metadata(ISSUER, URL)));
    world.serve(URL, good(jwks(&["a"])));
    world.pass(0);
    let source = &world.workers[0].source;
    let (lease, documents) = (source.lease_key(), source.documents_key());
    for metadata in [None, Some(String::from_utf8(metadata("https://evil.example.com", URL)).unwrap())] {
        // Whoever wrote this knew how it is stored.
        let poison = Documents { metadata, jwks: jwks(&["evil"]) };
        let forged = Lease { version: poison.version(), ..Lease::read(&world.shared[&lease].0).unwrap() };
        world.shared.insert(documents.clone(), (poison.to_bytes(), 1000));
        world.shared.insert(lease.clone(), (forged.to_bytes(), 1000));
        world.join(Source::discover(ISSUER, "as", BTreeMap::new(), SCHEDULE).unwrap());
        world.pass(1000);
        assert!(world.workers.iter().all(|worker| worker.has("a") && !worker.has("evil")));
    }
}

#[test]
fn inline_keys_need_no_host() {
    let source = Source::inline(Keys::read(&[jwk("a")]).0);
    assert!(!source.is_remote());
    assert_eq!(source.poll(1, SystemTime::UNIX_EPOCH), Step::Rest);
    source.miss(SystemTime::UNIX_EPOCH);
    assert!(source.keys().find(Some("a"), Algorithm::ES256).is_some());
    assert_eq!((source.generation(), source.metadata()), (0, None));
}

#[test]
fn debug_shows_where_keys_are_and_no_document() {
    let mut world = World::discover(1);
    world.serve(METADATA, good(metadata(ISSUER, URL)));
    world.serve(URL, good(jwks(&["a"])));
    world.pass(0);
    let shown = format!("{:?}", world.workers[0].source);
    assert!(shown.contains(ISSUER) && shown.contains("\"a\"") && !shown.contains("jwks_uri"), "{shown}");
}
