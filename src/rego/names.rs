//! What a name means in a module.

use std::collections::BTreeMap;

use regorus::unstable::Module;

use super::program::Program;
use super::syntax::static_path;

/// The package and the imports of one module.
pub(super) struct Names {
    package: Vec<String>,
    imports: BTreeMap<String, Vec<String>>,
}

/// One of the two documents, and the way into it.
pub(super) enum Document {
    Input(Vec<String>),
    Data(Vec<String>),
}

impl Names {
    pub(super) fn new(module: &Module) -> Self {
        let imports = module.imports.iter().filter_map(|import| {
            let target = static_path(&import.refr).0;
            let name =
                import.r#as.as_ref().map_or_else(|| target.last().cloned(), |alias| Some(alias.text().to_owned()))?;
            matches!(target.first().map(String::as_str), Some("data" | "input")).then_some((name, target))
        });
        Self { package: static_path(&module.package.refr).0, imports: imports.collect() }
    }

    /// What a name was imported from, with `data` or `input` before it.
    pub(super) fn imported(&self, name: &str) -> Option<Vec<String>> {
        self.imports.get(name).cloned()
    }

    /// What a name that is not local means.
    pub(super) fn document(&self, program: &Program<'_>, name: &str) -> Option<Document> {
        match name {
            "input" => return Some(Document::Input(Vec::new())),
            "data" => return Some(Document::Data(Vec::new())),
            _ => {}
        }
        let rule: Vec<String> = self.package.iter().cloned().chain([name.to_owned()]).collect();
        if program.under(&rule).next().is_some() {
            return Some(Document::Data(rule));
        }
        let (root, target) = self.imports.get(name)?.split_first()?;
        Some(if root == "input" { Document::Input(target.to_vec()) } else { Document::Data(target.to_vec()) })
    }

    /// The function of the modules that a call means, as regorus resolves it, and
    /// how many arguments it takes.
    pub(super) fn function(&self, program: &Program<'_>, written: &[String]) -> Option<(usize, usize)> {
        let (first, rest) = written.split_first()?;
        let imported = self.imports.get(first).and_then(|target| target.split_first());
        let full: Vec<String> = match imported.filter(|(root, _)| *root == "data") {
            Some((_, target)) => target.iter().chain(rest).cloned().collect(),
            None if first == "data" => rest.to_vec(),
            None => self.package.iter().chain(written).cloned().collect(),
        };
        program.function(&full)
    }
}
