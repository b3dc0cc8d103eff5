//! Cases through the gate's reader and every judge, and the account of them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::judges::{AHEAD, Answer, Batch, Judges, root};
use crate::message::bases;
use crate::mutate::{Case, case, kinds};
use crate::planted::Repair;
use crate::reading::{Verdict, gate, same, serde};

/// What is run.
pub(crate) struct Plan {
    pub(crate) cases: u64,
    pub(crate) seed: u64,
    /// Ends early, at a time.
    pub(crate) seconds: Option<u64>,
    /// What stands before the reader; nothing but in a test of this test.
    pub(crate) repair: Option<Repair>,
    /// Ends at the first finding.
    pub(crate) one: bool,
}

/// A text that the gate reads and a judge refuses, or reads otherwise.
pub(crate) struct Finding {
    pub(crate) number: u64,
    pub(crate) kinds: Vec<&'static str>,
    pub(crate) judge: String,
    pub(crate) text: Vec<u8>,
    pub(crate) ours: Vec<u8>,
    pub(crate) answer: Answer,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Account {
    pub(crate) cases: u64,
    pub(crate) accepted: u64,
    pub(crate) took: Duration,
    /// Accepted and drawn, by kind of change.
    kinds: BTreeMap<&'static str, (u64, u64)>,
    /// By the code of the denial.
    codes: BTreeMap<&'static str, u64>,
    /// For each judge: of the accepted those that it read alike, and of the
    /// refused those that it would take.
    judges: Vec<(String, u64, u64)>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) found: u64,
}

/// Texts in one frame.
const BATCH: u64 = 500;
/// Findings of one judge beyond this are counted, not kept.
const KEPT: usize = 20;
/// How often a long run says where it is.
const PROGRESS: Duration = Duration::from_secs(30);

/// A case with what the gate, and serde_json, make of it.
struct Judged {
    number: u64,
    case: Case,
    /// The reading, or the code of the denial.
    ours: Result<Vec<u8>, &'static str>,
    serde: Answer,
}

#[expect(clippy::disallowed_methods, reason = "a test measures its own time")]
pub(crate) fn run(plan: &Plan, judges: &Judges) -> Result<Account, String> {
    let (start, bases) = (Instant::now(), bases());
    let readers = judges.readers().into_iter().chain([SERDE.to_owned()]);
    let mut account = Account { judges: readers.map(|name| (name, 0, 0)).collect(), ..Account::default() };
    account.kinds = kinds().map(|name| (name, (0, 0))).collect();
    let mut waiting: VecDeque<Vec<Judged>> = VecDeque::new();
    let (mut next, mut said, mut saved) = (0, start, 0);
    loop {
        let stop = plan.one && account.found > 0;
        let late = plan.seconds.is_some_and(|seconds| start.elapsed() >= Duration::from_secs(seconds));
        if next < plan.cases && !stop && !late && waiting.len() < AHEAD {
            let end = plan.cases.min(next + BATCH);
            let batch: Vec<_> = (next..end).map(|number| judge(plan, number, &bases)).collect();
            next = end;
            judges.ask(&Batch::new(batch.iter().map(|judged| (judged.case.text.as_slice(), judged.ours.is_ok()))))?;
            waiting.push_back(batch);
            continue;
        }
        let Some(batch) = waiting.pop_front() else { break };
        for (judged, answers) in batch.into_iter().zip(judges.hear()?) {
            account.take(judged, answers);
        }
        // At once, since a long run may not see its end.
        for finding in account.findings.iter().skip(saved).filter(|_| plan.repair.is_none()) {
            finding.save(plan.seed).map_err(|error| format!("target/differential: {error}"))?;
            eprintln!("differential: {}", finding.shown(plan.seed));
        }
        saved = account.findings.len();
        if said.elapsed() > PROGRESS {
            said = Instant::now();
            eprintln!(
                "differential: {} cases in {} s, {} findings",
                account.cases,
                start.elapsed().as_secs(),
                account.found
            );
        }
    }
    account.took = start.elapsed();
    Ok(account)
}

const SERDE: &str = "serde_json";

fn judge(plan: &Plan, number: u64, bases: &[crate::message::Node]) -> Judged {
    let case = case(plan.seed, number, bases);
    let mut verdict = gate(&case.text);
    if let Some(repair) = plan.repair {
        let repaired = gate(&repair(&case.text));
        // Only what was planted is to be found.
        verdict = if repaired == verdict { Verdict::Refused("as without it") } else { repaired };
    }
    let ours = match verdict {
        Verdict::Read(reading) => Ok(reading),
        Verdict::Refused(code) => Err(code),
        // No judge says the like, so it becomes a finding.
        Verdict::Torn(what) => Ok(what.into_bytes()),
    };
    let serde = match serde(&case.text) {
        Ok(reading) => Answer::Read(reading),
        Err(reason) => Answer::Refused(reason),
    };
    Judged { number, case, ours, serde }
}

impl Account {
    fn take(&mut self, judged: Judged, mut answers: Vec<Answer>) {
        let Judged { number, case, ours, serde } = judged;
        self.cases += 1;
        self.accepted += u64::from(ours.is_ok());
        if let Err(code) = ours {
            *self.codes.entry(code).or_default() += 1;
        }
        for kind in &case.kinds {
            let (accepted, drawn) = self.kinds.entry(kind).or_default();
            *accepted += u64::from(ours.is_ok());
            *drawn += 1;
        }
        answers.push(serde);
        for ((name, alike, laxer), answer) in self.judges.iter_mut().zip(answers) {
            match (&ours, &answer) {
                (Ok(ours), Answer::Read(theirs)) if same(ours, theirs) => *alike += 1,
                (Err(_), Answer::Refused(_)) => {}
                (Err(_), Answer::Read(_)) => *laxer += 1,
                (Ok(ours), _) => {
                    self.found += 1;
                    if self.findings.iter().filter(|finding| finding.judge == *name).count() < KEPT {
                        self.findings.push(Finding {
                            number,
                            kinds: case.kinds.clone(),
                            judge: name.clone(),
                            text: case.text.clone(),
                            ours: ours.clone(),
                            answer,
                        });
                    }
                }
            }
        }
    }

    pub(crate) fn share(&self) -> f64 {
        percent(self.accepted, self.cases)
    }

    /// The account in words.
    pub(crate) fn report(&self, seed: u64) -> String {
        let seconds = self.took.as_secs_f64();
        let mut out = format!(
            "differential: {} cases of seed {seed} in {seconds:.1} s ({:.0} a second), {} accepted ({:.1} %)\n",
            self.cases,
            count(self.cases) / seconds.max(0.001),
            self.accepted,
            self.share()
        );
        out.push_str("  accepted by kind of change:\n");
        for (kind, (accepted, drawn)) in &self.kinds {
            let _ = writeln!(out, "    {kind:26} {:5.1} % of {drawn}", percent(*accepted, *drawn));
        }
        let _ = writeln!(out, "  refused with: {:?}", self.codes);
        out.push_str("  of what is accepted here, read alike; of what is refused here, taken:\n");
        let refused = self.cases - self.accepted;
        for (name, alike, laxer) in &self.judges {
            let _ = writeln!(out, "    {name:42} {alike} of {}, {laxer} of {refused}", self.accepted);
        }
        let _ = write!(out, "  findings: {}", self.found);
        out
    }
}

fn percent(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { 100.0 * count(part) / count(of) }
}

#[expect(clippy::cast_precision_loss, reason = "for a report")]
fn count(number: u64) -> f64 {
    number as f64
}

impl Finding {
    /// What it is, for the one who mends it.
    pub(crate) fn shown(&self, seed: u64) -> String {
        format!(
            "seed {seed}, case {}, made by {}\n  bytes {}\n  we read {}\n  {} {}",
            self.number,
            if self.kinds.is_empty() { "nothing".to_owned() } else { self.kinds.join(", ") },
            self.text.escape_ascii(),
            self.ours.escape_ascii(),
            self.judge,
            self.answer.shown()
        )
    }

    /// Keeps its bytes, and what was said of them, under target/differential.
    fn save(&self, seed: u64) -> std::io::Result<()> {
        let folder = root().join("target/differential");
        std::fs::create_dir_all(&folder)?;
        let name = format!("{seed}-{}", self.number);
        std::fs::write(folder.join(format!("{name}.json")), &self.text)?;
        std::fs::write(folder.join(format!("{name}.txt")), self.shown(seed) + "\n")
    }
}
