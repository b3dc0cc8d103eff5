use super::*;

#[test]
fn what_the_host_did_not_do_is_a_denial() {
    let now = SystemTime::UNIX_EPOCH;
    let mut exchange = Exchange::new(None, "d".into());
    let Step::Reply(reply) = exchange.handle_failure() else { panic!("expected a reply") };
    assert_eq!(reply.status, 503);
    assert!(reply.headers.contains(&("retry-after", "5".to_owned())));
    assert_eq!(exchange.verdict(), Some(Verdict::Deny));
    assert_eq!(exchange.record(now).0, "host_failed");
}
