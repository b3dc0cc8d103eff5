//! The judges: parsers that may stand behind the gate, each in one long-lived
//! process that answers batch by batch. `judges/judge.py` says what the frames are.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What one reader says of one text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// Why it is refused.
    Refused(String),
    /// The reading, empty where none was wanted.
    Read(Vec<u8>),
}

impl Answer {
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Refused(reason) => format!("refuses it: {reason}"),
            Self::Read(reading) => format!("reads {}", reading.escape_ascii()),
        }
    }
}

/// A batch on its way: the frame that is sent, and how many texts it holds.
#[derive(Clone)]
pub(crate) struct Batch {
    frame: Arc<Vec<u8>>,
    texts: usize,
}

impl Batch {
    /// Texts, each with whether its reading is wanted.
    pub(crate) fn new<'a>(texts: impl Iterator<Item = (&'a [u8], bool)>) -> Self {
        let (mut frame, mut count) = (vec![0; 4], 0);
        for (text, wanted) in texts {
            frame.extend_from_slice(&length(text.len() + 1));
            frame.push(u8::from(wanted));
            frame.extend_from_slice(text);
            count += 1;
        }
        let size = length(frame.len() - 4);
        frame[..4].copy_from_slice(&size);
        Self { frame: Arc::new(frame), texts: count }
    }
}

/// One process with one reader or more.
struct Judge {
    readers: Vec<String>,
    batches: SyncSender<Batch>,
    /// For each batch, for each text, for each reader.
    answers: Receiver<Result<Vec<Vec<Answer>>, String>>,
    thread: JoinHandle<()>,
}

/// All judges.
pub(crate) struct Judges(Vec<Judge>);

impl Judges {
    /// Starts them. What is missing stops the test; Java alone is left out, out loud.
    pub(crate) fn start() -> Result<Self, String> {
        let tools = root().join("target/tools");
        let sources = root().join("tests/differential/judges");
        let with = |program: PathBuf, arguments: &[PathBuf]| {
            let mut command = Command::new(program);
            command.args(arguments);
            command
        };
        let mut commands = vec![
            with(tools.join("venv/bin/python"), &[sources.join("judge.py")]),
            with(tools.join("bin/node"), &[sources.join("judge.mjs")]),
            with(tools.join("bin/go-judge"), &[]),
        ];
        let jackson = tools.join("jackson");
        if jackson.join("Judge.class").exists() {
            let mut java = Command::new("java");
            // Two cores are shared with five others.
            java.args(["-XX:+UseSerialGC", "-Xmx512m", "-cp"])
                .arg(format!("{0}:{0}/*", jackson.display()))
                .arg("Judge");
            commands.push(java);
        } else {
            eprintln!(
                "differential: JACKSON IS LEFT OUT: {} is not there. Install Java (a JDK) and Maven, then \
                 `python3 tests/setup.py differential`",
                jackson.display()
            );
        }
        commands.into_iter().map(Judge::start).collect::<Result<_, _>>().map(Self)
    }

    /// The names of all readers, in the order of their answers.
    pub(crate) fn readers(&self) -> Vec<String> {
        self.0.iter().flat_map(|judge| judge.readers.clone()).collect()
    }

    /// Hands a batch to every judge.
    pub(crate) fn ask(&self, batch: &Batch) -> Result<(), String> {
        let mut sent = self.0.iter().map(|judge| judge.batches.send(batch.clone()));
        sent.try_for_each(|sent| sent.map_err(|_| "a judge has ended".to_owned()))
    }

    /// What all readers say of each text of the oldest batch that is not answered.
    pub(crate) fn hear(&self) -> Result<Vec<Vec<Answer>>, String> {
        let mut all: Vec<Vec<Answer>> = Vec::new();
        for judge in &self.0 {
            let answers = judge.answers.recv().map_err(|_| format!("{}: no answer", judge.readers.join(", ")))?;
            let answers = answers.map_err(|problem| format!("{}: {problem}", judge.readers.join(", ")))?;
            all.resize(answers.len(), Vec::new());
            for (text, answers) in all.iter_mut().zip(answers) {
                text.extend(answers);
            }
        }
        Ok(all)
    }

    /// Lets every process end, and waits for it.
    fn close(self) {
        for judge in self.0 {
            drop(judge.batches);
            let _ = judge.thread.join();
        }
    }
}

impl Judge {
    fn start(mut command: Command) -> Result<Self, String> {
        let shown = command.get_program().to_string_lossy().into_owned();
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(|error| {
                format!("{shown}: {error}; `python3 tests/setup.py differential` installs the judges")
            })?;
        let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let names = read_frame(&mut output).map_err(|error| format!("{shown}: did not say its name: {error}"))?;
        let readers: Vec<String> = String::from_utf8_lossy(&names).lines().map(str::to_owned).collect();
        let count = readers.len();
        let (batches, waiting) = sync_channel::<Batch>(AHEAD);
        let (answered, answers) = sync_channel(AHEAD);
        let thread = std::thread::spawn(move || {
            for batch in waiting {
                if answered.send(exchange(&mut input, &mut output, &batch, count)).is_err() {
                    break;
                }
            }
            drop(input);
            end(child);
        });
        Ok(Self { readers, batches, answers, thread })
    }
}

/// Batches that may be on their way at a time.
pub(crate) const AHEAD: usize = 4;

/// It ends when its input does.
fn end(mut child: Child) {
    let _ = child.wait();
}

fn exchange(
    input: &mut ChildStdin,
    output: &mut ChildStdout,
    batch: &Batch,
    readers: usize,
) -> Result<Vec<Vec<Answer>>, String> {
    let text = |error: std::io::Error| error.to_string();
    input.write_all(&batch.frame).and_then(|()| input.flush()).map_err(text)?;
    let content = read_frame(output).map_err(text)?;
    let mut rest = content.as_slice();
    let mut answers = Vec::with_capacity(batch.texts);
    for _ in 0..batch.texts {
        let mut answer = Vec::with_capacity(readers);
        for _ in 0..readers {
            let one = read_frame(&mut rest).map_err(text)?;
            answer.push(match one.split_first() {
                Some((b'+', reading)) => Answer::Read(reading.to_vec()),
                Some((b'-', reason)) => Answer::Refused(String::from_utf8_lossy(reason).into_owned()),
                _ => return Err("expected an answer".into()),
            });
        }
        answers.push(answer);
    }
    match rest.is_empty() {
        true => Ok(answers),
        false => Err("expected one answer per text and reader, found more".into()),
    }
}

fn read_frame(from: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut size = [0; 4];
    from.read_exact(&mut size)?;
    let mut content = vec![0; usize::try_from(u32::from_le_bytes(size)).unwrap()];
    from.read_exact(&mut content)?;
    Ok(content)
}

fn length(of: usize) -> [u8; 4] {
    u32::try_from(of).unwrap().to_le_bytes()
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

static SHARED: Mutex<Option<Judges>> = Mutex::new(None);

/// Runs something with the judges, who are started once and asked by one at a time.
pub(crate) fn with<T>(run: impl FnOnce(&Judges) -> Result<T, String>) -> Result<T, String> {
    let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let judges = match shared.take() {
        Some(judges) => judges,
        None => Judges::start()?,
    };
    let result = run(&judges);
    match &result {
        Ok(_) => *shared = Some(judges),
        // Batches may still be on their way.
        Err(_) => judges.close(),
    }
    result
}

/// Ends those that were started.
pub(crate) fn close() {
    if let Some(judges) = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take() {
        judges.close();
    }
}
