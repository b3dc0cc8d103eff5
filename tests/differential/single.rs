//! Texts one by one: a message with one byte changed, every part of one that ends
//! early (JSON-56), and what an earlier run has found.

use crate::judges::{Answer, Batch, Judges, root};
use crate::reading::{Verdict, gate, same, serde};

/// The base message of the catalogue.
const BASE: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rm","arguments":{}}}"#;

/// Each is refused, or read alike by all; so many are read.
pub(crate) fn run(judges: &Judges, texts: &[Vec<u8>], strict: usize) -> Result<(), String> {
    let mut accepted = 0;
    for part in texts.chunks(1000) {
        let ours: Vec<_> = part.iter().map(|text| gate(text)).collect();
        judges.ask(&Batch::new(
            part.iter().zip(&ours).map(|(text, ours)| (text.as_slice(), !matches!(ours, Verdict::Refused(_)))),
        ))?;
        for ((text, ours), mut answers) in part.iter().zip(ours).zip(judges.hear()?) {
            let shown = text.escape_ascii();
            let ours = match ours {
                Verdict::Refused(_) => continue,
                Verdict::Read(reading) => reading,
                Verdict::Torn(what) => return Err(format!("{shown}: {what}")),
            };
            accepted += 1;
            answers.push(match serde(text) {
                Ok(reading) => Answer::Read(reading),
                Err(reason) => Answer::Refused(reason),
            });
            let readers = judges.readers().into_iter().chain(["serde_json".to_owned()]);
            for (reader, answer) in readers.zip(answers) {
                match &answer {
                    Answer::Read(theirs) if same(&ours, theirs) => {}
                    _ => return Err(format!("{shown}: we read {}, {reader} {}", ours.escape_ascii(), answer.shown())),
                }
            }
        }
    }
    eprintln!("differential: of {} texts {accepted} were accepted, and read alike by all", texts.len());
    match accepted == strict {
        true => Ok(()),
        false => Err(format!("expected {strict} of them to be strict messages, found {accepted}")),
    }
}

/// Every other value at every place.
pub(crate) fn one_byte() -> Vec<Vec<u8>> {
    let texts = (0..BASE.len()).flat_map(|at| {
        (0..=u8::MAX).filter(move |byte| *byte != BASE[at]).map(move |byte| {
            let mut text = BASE.to_vec();
            text[at] = byte;
            text
        })
    });
    texts.collect()
}

pub(crate) fn cut_short() -> Vec<Vec<u8>> {
    (0..BASE.len()).map(|end| BASE[..end].to_vec()).collect()
}

/// The texts in `found`.
pub(crate) fn found() -> Result<Vec<Vec<u8>>, String> {
    let folder = root().join("tests/differential/found");
    let files = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let texts = files.map(|file| std::fs::read(file?.path()));
    texts.collect::<Result<_, _>>().map_err(|error: std::io::Error| error.to_string())
}
