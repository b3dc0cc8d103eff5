//! Headers for a server, which may be secret: whatever stands in a command line is in the
//! list of processes, for all to see.

/// Reads what `--header` says: `NAME: VALUE` with variables, or `@FILE`.
#[expect(clippy::disallowed_methods, reason = "a command has an environment; the core gets it as an argument")]
pub(crate) fn read(texts: &[String]) -> Result<Vec<(String, String)>, String> {
    let mut headers = Vec::new();
    for text in texts {
        let Some(file) = text.strip_prefix('@') else {
            let (name, value) = parts(text)?;
            headers.push((name, expand(&value, |name| std::env::var(name).ok())?));
            continue;
        };
        let lines = std::fs::read_to_string(file);
        let lines = lines.map_err(|error| format!("--header: expected a readable file `{file}`: {error}"))?;
        for line in lines.lines().filter(|line| !line.trim().is_empty()) {
            headers.push(parts(line)?);
        }
    }
    Ok(headers)
}

fn parts(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once(':').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    parts
        .filter(|(name, _)| !name.is_empty())
        .ok_or("--header: expected `NAME: VALUE`, or `@FILE` with such lines".into())
}

/// A value with what its variables hold.
fn expand(value: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let Some((first, rest)) = value.split_once('$') else {
        return Err("--header: expected `$VARIABLE` in its value, in single quotes, or `@FILE`; found what everybody \
                    who lists the processes of this machine can read"
            .into());
    };
    let mut expanded = first.to_owned();
    for part in rest.split('$') {
        let end = part.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(part.len());
        let (name, behind) = part.split_at_checked(end).unwrap_or((part, ""));
        let found = variable(name).filter(|found| !found.is_empty());
        let found = found.ok_or_else(|| format!("--header: expected the variable `{name}`, found none"))?;
        expanded.push_str(found.trim_end_matches(['\r', '\n']));
        expanded.push_str(behind);
    }
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_that_of_its_variables() {
        let variable = |name: &str| match name {
            "TOKEN" => Some("secret$\n".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        assert_eq!(expand("Bearer $TOKEN", variable), Ok("Bearer secret$".into()));
        assert_eq!(expand("$TOKEN-$TOKEN.", variable), Ok("secret$-secret$.".into()));
        for (value, problem) in [
            ("Bearer secret", "expected `$VARIABLE`"),
            ("$EMPTY", "expected the variable `EMPTY`, found none"),
            ("Bearer $", "expected the variable ``, found none"),
        ] {
            let found = expand(value, variable).unwrap_err();
            assert!(found.contains(problem) && !found.contains("secret"), "{found}");
        }
    }
}
