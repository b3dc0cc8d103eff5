//! Cases through a real Envoy with the module in it, in every framing.
//!
//! An Envoy runs one case at a time, so that each connection upstream and each
//! line of the access log has one request to belong to. The next case gets the
//! same Envoy, with another configuration where it needs one.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Instant, SystemTime};

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::case::{AUTHORITY, Case, Expect, FRAMINGS, File, Request, Run, Session, merge};
use crate::check::{Outcome, check};
use crate::client;
use crate::keys::Keys;
use crate::process::{Envoy, PATIENCE, Setting, free_port};
use crate::upstream::{ANSWER, Message, Upstream};

/// What was run, for the closing line.
pub(crate) struct Counts {
    native: AtomicUsize,
    cases: AtomicUsize,
    requests: AtomicUsize,
    version: OnceLock<String>,
}

pub(crate) static COUNTS: Counts = Counts {
    native: AtomicUsize::new(0),
    cases: AtomicUsize::new(0),
    requests: AtomicUsize::new(0),
    version: OnceLock::new(),
};

impl Counts {
    pub(crate) fn native(&self) {
        self.native.fetch_add(1, Ordering::Relaxed);
    }
}

pub(crate) fn summary() -> String {
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let version = COUNTS.version.get().map_or("(none started)", String::as_str);
    format!(
        "cases: {} natively; {} through Envoy {version}, in {} framings, {} requests",
        count(&COUNTS.native),
        count(&COUNTS.cases),
        FRAMINGS.len(),
        count(&COUNTS.requests),
    )
}

/// An Envoy and what stands behind it.
struct World {
    envoy: Envoy,
    upstream: Upstream,
    authority: String,
    /// The ids of all decisions.
    decisions: HashSet<String>,
    /// The patch of its configuration, as the cases have it.
    given: Value,
}

/// Envoys without a case.
static IDLE: Mutex<Vec<World>> = Mutex::new(Vec::new());

/// Ends them.
pub(crate) fn close() {
    IDLE.lock().unwrap().clear();
}

pub(crate) fn trials(files: &[File]) -> Vec<Trial> {
    // Cases of one configuration come one after the other.
    let mut cases: Vec<(String, Value, File)> = Vec::new();
    let mut trials = Vec::new();
    for file in files {
        match file.case(AUTHORITY) {
            Ok(case) if case.runs == [Run::Native] => {}
            Ok(case) => cases.push((case.given.to_string(), case.given, file.clone())),
            Err(problem) => {
                trials.push(Trial::test(format!("envoy/{}", file.name), move || Err(problem.into())));
            }
        }
    }
    cases.sort_by(|a, b| (&a.0, &a.2.name).cmp(&(&b.0, &b.2.name)));
    trials.extend(cases.into_iter().map(|(_, given, file)| {
        Trial::test(format!("envoy/{}", file.name), move || run(&file, &given).map_err(Failed::from))
    }));
    trials
}

fn run(file: &File, given: &Value) -> Result<(), String> {
    let case = file.case(AUTHORITY)?;
    let mut world;
    if let Some(Expect::Refused(findings)) = case.steps.first().map(|step| &step.expect) {
        world = World::with(&json!({}))?;
        world.refuse(given, findings)?;
    } else {
        world = World::with(given)?;
        let case = file.case(&world.authority)?;
        world.run(&case)?;
    }
    // After a failure there may be traces that the next case would find.
    IDLE.lock().unwrap().push(world);
    Ok(())
}

impl World {
    /// An Envoy of this configuration: one that has it, or is given it, or is started.
    fn with(given: &Value) -> Result<Self, String> {
        let mut idle = IDLE.lock().unwrap();
        if let Some(index) = idle.iter().position(|world| world.given == *given) {
            return Ok(idle.swap_remove(index));
        }
        // How requests are held stands in Envoy's own configuration, too.
        let other = idle.iter().position(|world| world.given["hold"] == given["hold"]);
        let other = other.map(|index| idle.swap_remove(index));
        drop(idle);
        match other {
            Some(mut world) => {
                world.configure(given)?;
                Ok(world)
            }
            None => Self::start(given),
        }
    }

    fn start(given: &Value) -> Result<Self, String> {
        let port = free_port();
        let authority = format!("127.0.0.1:{port}");
        let upstream = Upstream::start();
        let configuration = configuration(given, &authority);
        let setting =
            Setting { port, upstream: upstream.port(), configuration: &configuration, workers: 1, clusters: &[] };
        let envoy = Envoy::start(&setting)?;
        if COUNTS.version.get().is_none() {
            let _ = COUNTS.version.set(envoy.version().unwrap_or_default());
        }
        Ok(Self { envoy, upstream, authority, decisions: HashSet::new(), given: given.clone() })
    }

    /// Changes the configuration, and waits until requests are decided by it: its
    /// policy has a revision of its own.
    fn configure(&mut self, given: &Value) -> Result<(), String> {
        let revision = self.revision()?;
        self.envoy.configure(&configuration(given, &self.authority));
        let start = Instant::now();
        while self.revision()? == revision {
            if start.elapsed() > PATIENCE {
                return Err(format!("the configuration was not accepted; Envoy's log:\n{}", self.envoy.own_log()));
            }
        }
        self.given = given.clone();
        Ok(())
    }

    /// Gives it a configuration that it must refuse, with these findings in its
    /// log, and go on as before.
    fn refuse(&mut self, given: &Value, findings: &[String]) -> Result<(), String> {
        COUNTS.cases.fetch_add(1, Ordering::Relaxed);
        let revision = self.revision()?;
        let (known, refused) = (self.envoy.own_log().len(), self.envoy.stat("update_rejected"));
        let given = given.to_string().replace(AUTHORITY, &self.authority);
        let configuration = Keys::shared().configuration(&serde_json::from_str(&given).unwrap(), &self.authority);
        self.envoy.configure(&configuration);
        self.envoy.wait_until("the configuration is refused", |envoy| envoy.stat("update_rejected") > refused)?;
        let log = self.envoy.own_log().split_off(known);
        for finding in findings {
            let line = format!("mcp-gate: configuration refused: {}", finding.replace(AUTHORITY, &self.authority));
            if !log.contains(&line) {
                return Err(format!("expected `{line}` in Envoy's log, found:\n{log}"));
            }
        }
        match self.revision()? == revision {
            true => Ok(()),
            false => Err("another policy is in force".into()),
        }
    }

    fn revision(&mut self) -> Result<Value, String> {
        let mut session = Session::default();
        let request = session.unprotected(&self.authority);
        let (_, record) = self.exchange(Run::H1, &request)?;
        Ok(record.unwrap_or_default()["revision"].take())
    }

    fn run(&mut self, case: &Case) -> Result<(), String> {
        COUNTS.cases.fetch_add(1, Ordering::Relaxed);
        let mut problems = Vec::new();
        let mut sent = Vec::new();
        for framing in FRAMINGS.into_iter().filter(|framing| case.runs.contains(framing)) {
            let mut session = Session::default();
            for (index, step) in case.steps.iter().enumerate() {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
                let request = session.request(step, Keys::shared(), &self.authority, now);
                if !client::applies(framing, &request) || !step.runs_in(framing) {
                    continue;
                }
                COUNTS.requests.fetch_add(1, Ordering::Relaxed);
                sent.extend(request.headers.iter().filter(|(name, _)| name == "authorization").cloned());
                let result = self.exchange(framing, &request);
                let result = result.inspect(|(outcome, _)| session.learn(outcome));
                let result = result.and_then(|(outcome, record)| check(step, &request, &outcome, record.as_ref()));
                problems.extend(result.err().map(|problem| format!("{framing:?}, {}:\n{problem}", step.label(index))));
            }
        }
        let log = self.envoy.own_log();
        // Whatever the gate or Envoy logs, no token is in it.
        let tokens = sent.iter().filter_map(|(_, value)| std::str::from_utf8(value).ok()?.split(' ').nth(1));
        if tokens.filter(|token| token.len() > 16).any(|token| log.contains(token)) {
            problems.push("Envoy's log holds a token".into());
        }
        if log.contains("panicked") || log.contains("Function: proxy_on") {
            problems.push(format!("the module trapped:\n{log}"));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
    }

    /// One request: what became of it, and its record.
    fn exchange(&mut self, framing: Run, request: &Request) -> Result<(Outcome, Option<Value>), String> {
        self.envoy.no_line()?;
        let response = client::send(self.envoy.port, framing, request)?;
        let line = self.envoy.next_line()?;
        let record = match line.as_str() {
            "-" => None,
            line => Some(serde_json::from_str(line).map_err(|error| format!("record `{line}`: {error}"))?),
        };
        let id = record.as_ref().and_then(|record: &Value| record["decision_id"].as_str());
        if id.is_some_and(|id| !self.decisions.insert(id.to_owned())) {
            return Err(format!("two requests have one decision id: {line}"));
        }
        let mut connections = self.upstream.take();
        let outcome = match (connections.pop(), response) {
            (None, None) => Outcome::Unanswered,
            (None, Some(response)) => {
                Outcome::Reply { status: response.status, headers: response.headers, body: response.body }
            }
            (Some(bytes), response) => {
                if !connections.is_empty() {
                    return Err("upstream got more than one connection".into());
                }
                let Some(Message { headers, body, .. }) = Message::read(&bytes, false) else {
                    return Err(format!("upstream got a part of the request: {:?}", String::from_utf8_lossy(&bytes)));
                };
                let answered = response.is_some_and(|response| {
                    response.status == 200 && (request.method == "HEAD" || response.body == ANSWER.as_bytes())
                });
                if !answered {
                    return Err("upstream's answer did not reach the client".into());
                }
                Outcome::Forward { headers, body }
            }
        };
        Ok((outcome, record))
    }
}

/// The configuration of a case, told from all others by a member of its data.
fn configuration(given: &Value, authority: &str) -> Value {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let given = given.to_string().replace(AUTHORITY, authority);
    let mut configuration = Keys::shared().configuration(&serde_json::from_str(&given).unwrap(), authority);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    merge(&mut configuration, &json!({"policy": {"data": {"_configuration_of_the_tests": count}}}));
    configuration
}
