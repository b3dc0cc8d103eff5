//! What a caller may know of: each entry of a list is decided as the call that it
//! stands for, with the arguments unknown. The call itself is decided again, whatever
//! was listed.

use std::fmt;
use std::rc::Rc;
use std::time::SystemTime;

use regorus::Value;

use super::{Policy, Question, strings};
use crate::denial::Denial;
use crate::mcp::Call;

/// What becomes of an entry of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// The caller may know of it.
    Visible,
    /// The caller may not.
    Hidden,
    /// The rules failed, so the caller may not.
    Failed,
    /// It is not what it was when it was pinned, so nobody may.
    Changed,
}

/// How long the entries of lists may take that a worker reads at once, in time limits of a
/// rule: as long as one decision may, five rules twice.
const LIST_TIMES: u32 = 10;

/// Until when entries of lists are decided.
pub struct Deadline<'a> {
    clock: &'a dyn Fn() -> SystemTime,
    /// When they began to be: the time that the rules see.
    pub from: SystemTime,
    to: SystemTime,
}

impl fmt::Debug for Deadline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deadline({:?})", self.to)
    }
}

impl Deadline<'_> {
    /// Also by a clock that was set back, of which nobody knows how long it was.
    fn is_over(&self) -> bool {
        !(self.from..=self.to).contains(&(self.clock)())
    }
}

impl Policy {
    /// From now on, by a clock that gives the host's time.
    pub fn deadline<'a>(&self, clock: &'a dyn Fn() -> SystemTime) -> Deadline<'a> {
        let from = clock();
        let to = from.checked_add(self.options.time_limit.saturating_mul(LIST_TIMES)).unwrap_or(from);
        Deadline { clock, from, to }
    }

    /// Are denials recorded only?
    pub fn is_shadow(&self) -> bool {
        self.options.shadow
    }

    /// What becomes of the entries that these calls stand for, which differ in what they
    /// name and in nothing else. `question` says the rest, whatever its own call is.
    ///
    /// A list as a whole is remembered like an answer: the rules are asked about its
    /// entries once, as long as neither the list nor what the rules can read changes. What
    /// they did not say by the deadline has failed.
    pub fn visible(&self, question: Question<'_>, calls: &[Call<'_>], deadline: &Deadline<'_>) -> Rc<[Sight]> {
        let Some(first) = calls.first() else { return Rc::default() };
        let Some(memory) = &self.memory else { return self.judge_each(question, calls, deadline) };
        let entry = Question { call: first, ..question };
        let key = memory.list_key(entry, || self.input(entry), calls);
        if let Some(sights) = memory.recall_list(&key) {
            return sights;
        }
        let sights = self.judge_each(question, calls, deadline);
        memory.keep_list(key, &sights);
        sights
    }

    fn judge_each(&self, question: Question<'_>, calls: &[Call<'_>], deadline: &Deadline<'_>) -> Rc<[Sight]> {
        let mut is_late = false;
        let sights = calls.iter().map(|call| {
            // Each entry may take its time once; a list of them must not take all of the worker's.
            is_late = is_late || deadline.is_over();
            if is_late {
                return Sight::Failed;
            }
            match self.judge_entry(self.input(Question { call, ..question })) {
                Ok(true) => Sight::Visible,
                Ok(false) => Sight::Hidden,
                Err(denial) => {
                    is_late = denial == Denial::PolicyTimeout;
                    Sight::Failed
                }
            }
        });
        sights.collect()
    }

    /// As for a call, a worker that had to wait for its processor gets a second try.
    fn judge_entry(&self, input: Value) -> Result<bool, Denial> {
        match self.ask_entry(input.clone()) {
            Err(Denial::PolicyTimeout) => self.ask_entry(input),
            sight => sight,
        }
    }

    /// `visible`; in a policy without it, what there is to say of a call whose arguments
    /// are not there. A scope or a login that is asked for hides nothing.
    fn ask_entry(&self, input: Value) -> Result<bool, Denial> {
        let is_true = |value: Value, rule: &'static str| match value {
            Value::Bool(value) => Ok(value),
            Value::Undefined => Ok(false),
            _ => Err(Denial::PolicyType(rule)),
        };
        let mut rules = self.evaluator.ask(input, None)?;
        if self.evaluator.defines("visible") {
            return is_true(rules.rule("visible")?, "visible");
        }
        if !strings(&rules.rule("deny")?, "deny")?.is_empty() {
            return Ok(false);
        }
        is_true(rules.rule("allow")?, "allow")
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::http::Head;
    use crate::mcp::{Dialect, Listed, VERSIONS};
    use crate::policy::{Options, Peer};
    use crate::token::Identity;

    fn policy(rules: &str) -> Policy {
        let module = format!("package mcp.authz\n\n{rules}\n");
        let modules = BTreeMap::from([("authz.rego".to_owned(), module)]);
        let options = Options { handshake: true, shadow: false, time_limit: Duration::from_secs(1) };
        let data = serde_json::json!({"tools": {"alice": ["a"], "bob": ["b"]}, "text": "7"});
        Policy::compile(&modules, &data, options).unwrap_or_else(|refusals| panic!("{rules}: {}", refusals[0]))
    }

    /// What becomes of `a`, `b` and `c`: `+` is visible, `-` hidden, `!` failed.
    fn sights(policy: &Policy, identity: &Rc<Identity>, listed: Listed, names: &[&str]) -> String {
        let clock = || SystemTime::UNIX_EPOCH;
        sights_until(policy, identity, listed, names, &policy.deadline(&clock))
    }

    fn sights_until(
        policy: &Policy,
        identity: &Rc<Identity>,
        listed: Listed,
        names: &[&str],
        deadline: &Deadline<'_>,
    ) -> String {
        let calls = names.iter().filter_map(|name| Call::listed(listed, name, VERSIONS[1], &Dialect::default()));
        let calls: Vec<Call<'_>> = calls.collect();
        assert_eq!(calls.len(), names.len());
        let (head, peer) = (Head::default(), Peer::default());
        let question = Question {
            resource: "r",
            catalogue: None,
            identity,
            call: &calls[0],
            head: &head,
            peer: &peer,
            now: SystemTime::UNIX_EPOCH,
        };
        let sights = policy.visible(question, &calls, deadline);
        let mark = |sight: &Sight| match sight {
            Sight::Visible => '+',
            Sight::Hidden => '-',
            Sight::Failed => '!',
            Sight::Changed => '~',
        };
        sights.iter().map(mark).collect()
    }

    #[test]
    fn an_entry_is_what_the_rules_say_of_a_call_without_arguments() {
        let alice = Rc::new(Identity::unverified("alice"));
        for (rules, expected) in [
            ("allow if input.mcp.name in data.tools[input.identity.subject]", "+--"),
            ("allow if input.identity.subject\n\ndeny contains \"no\" if input.mcp.name == \"a\"", "-++"),
            ("allow if input.mcp.arguments.x == 1", "---"),
            ("allow if { input.mcp.name; not input.mcp.arguments }", "+++"),
            ("allow if input.mcp.name == \"a\"\n\nvisible if input.mcp.name != \"a\"", "-++"),
            ("allow if input.identity.subject\n\nvisible if input.mcp.method == \"prompts/get\"", "---"),
            // What would be asked for hides nothing.
            ("allow if input.identity.subject\n\nscopes contains \"s\"\n\nstep_up := {\"max_age\": 1}", "+++"),
            ("allow if {\n input.mcp.name\n not abs(input.mcp.name) == 1\n}", "!!!"),
            ("allow if input.time.unix == 0", "+++"),
        ] {
            let policy = policy(rules);
            // Not even the answer of a memory is another one.
            for _ in 0..2 {
                assert_eq!(sights(&policy, &alice, Listed::Tool, &["a", "b", "c"]), expected, "{rules}");
            }
        }
    }

    #[test]
    fn what_is_not_decided_by_the_deadline_has_failed_and_is_not_remembered() {
        let policy = policy("allow if input.mcp.name == \"a\"");
        let alice = Rc::new(Identity::unverified("alice"));
        let ask =
            |deadline: &Deadline<'_>, names: &[&str]| sights_until(&policy, &alice, Listed::Tool, names, deadline);
        let names = ["a"; 12];
        // Each look at the clock is a second later; the limit of a rule is one, too.
        let ticks = Cell::new(100);
        let clock = || {
            ticks.set(ticks.get() + 1);
            SystemTime::UNIX_EPOCH + Duration::from_secs(ticks.get())
        };
        let deadline = policy.deadline(&clock);
        assert_eq!(ask(&deadline, &names), "++++++++++!!");
        // It is the deadline of all lists that are read at once.
        assert_eq!(ask(&deadline, &["a", "b"]), "!!");
        assert_eq!(ask(&policy.deadline(&clock), &["a", "b"]), "+-");
        ticks.set(1000);
        let deadline = policy.deadline(&clock);
        ticks.set(10);
        assert_eq!(ask(&deadline, &["b", "a"]), "!!");
        // What is remembered takes no time.
        assert_eq!(ask(&deadline, &["a", "b"]), "+-");
    }

    #[test]
    fn a_remembered_list_is_that_of_this_caller_these_entries_and_this_kind() {
        let policy = policy(
            "allow if {\n\tinput.mcp.method == \"tools/call\"\n\tinput.mcp.name in data.tools[input.identity.subject]\n}",
        );
        let [alice, bob] = ["alice", "bob"].map(Identity::unverified).map(Rc::new);
        for _ in 0..2 {
            assert_eq!(sights(&policy, &alice, Listed::Tool, &["a", "b"]), "+-");
            assert_eq!(sights(&policy, &bob, Listed::Tool, &["a", "b"]), "-+");
            assert_eq!(sights(&policy, &alice, Listed::Tool, &["a", "a"]), "++");
            assert_eq!(sights(&policy, &alice, Listed::Tool, &["a"]), "+");
            assert_eq!(sights(&policy, &alice, Listed::Tool, &["ab"]), "-");
            assert_eq!(sights(&policy, &alice, Listed::Prompt, &["a", "b"]), "--");
            assert_eq!(sights(&policy, &alice, Listed::Resource, &["a", "b"]), "--");
        }
        let another = Rc::new(Identity::unverified("alice"));
        assert_eq!(sights(&policy, &another, Listed::Tool, &["a", "b"]), "+-");
    }

    #[test]
    fn what_no_message_could_name_stands_for_no_call() {
        let listed = |listed, name| Call::listed(listed, name, VERSIONS[0], &Dialect::default()).is_some();
        assert!(
            listed(Listed::Tool, "a.b-c_1")
                && listed(Listed::Prompt, "Some prompt")
                && listed(Listed::Template, "a://{b}")
        );
        let (long, longest) = ("a".repeat(129), "a".repeat(2049));
        for name in ["", "a\n", "a b", "\u{e9}", &long] {
            assert!(!listed(Listed::Tool, name), "{name:?}");
        }
        assert!(!listed(Listed::Prompt, "") && !listed(Listed::Resource, &longest));
        let dialect = Dialect { tools: vec!["a b".into()], ..Dialect::default() };
        assert!(Call::listed(Listed::Tool, "a b", VERSIONS[0], &dialect).is_some());
    }
}
