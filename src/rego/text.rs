//! What is refused before regorus's parser sees a module.
//!
//! The parser backtracks: it reads what stands inside `[` or `{` twice, so a
//! token at depth d is read 2^d times, and it recurses over long chains of
//! operators. Neither can be interrupted. This pass runs regorus's own lexer,
//! so that it agrees with the parser on what is a string, a raw string or a
//! comment, and counts.

use regorus::unstable::{Lexer, Source, Token, TokenKind};

use super::Refusal;

/// Bytes and lines of one module; regorus's own limits, said here with a reason.
const MAX_BYTES: usize = 1 << 20;
const MAX_LINES: usize = 20_000;
/// Brackets, braces and parentheses inside one another. Depth 10 costs the
/// parser 1 ms for one literal, 14 costs 18 ms, 20 a second.
const MAX_NESTING: usize = 10;
/// Tokens read, backtracking counted: about 1 µs each.
const MAX_WORK: u64 = 500_000;
/// Operators, `in`, dots and indexes in a row. The tree is as deep as the
/// chain is long, and parsing, evaluating and dropping it recurse: at 150 unary
/// signs or 1,000 operators a stack of 256 KiB overflows.
const MAX_CHAIN: usize = 32;

/// Refuses a text that is not worth parsing, or not safe to parse.
pub fn check_text(file: &str, source: &str) -> Result<(), Refusal> {
    let at = |line: u32, column: u32, reason: String| Err(Refusal { file: file.to_owned(), line, column, reason });
    if source.len() > MAX_BYTES {
        return at(
            1,
            1,
            format!(
                "the module has {} bytes, at most {MAX_BYTES} are read; split it, or move tables to `policy.data`",
                source.len()
            ),
        );
    }
    let lines = source.lines().count();
    if lines > MAX_LINES {
        return at(
            1,
            1,
            format!(
                "the module has {lines} lines, at most {MAX_LINES} are read; split it, or move tables to `policy.data`"
            ),
        );
    }
    // The lexer takes NUL for the end of the file: what follows would be ignored, denials too.
    for (line, text) in (1..).zip(source.lines()) {
        if let Some((column, c)) = (1..).zip(text.chars()).find(|(_, c)| is_hidden(*c)) {
            return at(line, column, format!("control character U+{:04X} in the text; remove it", u32::from(c)));
        }
    }
    for (line, text) in (1..).zip(source.lines()) {
        if let Some(column) = text.find("$serde_json::private::") {
            let column = u32::try_from(column).unwrap_or(u32::MAX).saturating_add(1);
            return at(line, column, "`$serde_json::private::` means a number to the engine; remove it".to_owned());
        }
    }
    let source = Source::from_contents(file.to_owned(), source.to_owned())
        .map_err(|e| Refusal::from_engine(file, &e.to_string()))?;
    let mut lexer = Lexer::new(&source);
    let mut work = 0_u64;
    // One counter for each open bracket: the length of the chain at that depth.
    let mut chains = vec![0_usize];
    let mut after_operand = false;
    let mut end = 0;
    loop {
        let token = lexer.next_token().map_err(|e| Refusal::from_engine(file, &e.to_string()))?;
        let (line, column) = (token.1.line, token.1.col);
        let role = Role::of(&token);
        work = work.saturating_add(1 << chains.len().min(63));
        if work > MAX_WORK {
            return at(
                line,
                column,
                "the module takes too long to parse; split it, nest less, or move tables to `policy.data`".to_owned(),
            );
        }
        match role {
            Role::End => return Ok(()),
            Role::Open => {
                if let Some(chain) = chains.last_mut() {
                    // `a[i]` and `f(x)` go on with a chain, `a [i]` does not.
                    let starts = after_operand && token.1.start != end;
                    *chain = if starts { 1 } else { chain.saturating_add(1) };
                }
                chains.push(0);
                if chains.len() > MAX_NESTING + 1 {
                    return at(
                        line,
                        column,
                        format!(
                            "brackets nested deeper than {MAX_NESTING}; name the inner part with a rule of its own, or move it to `policy.data`"
                        ),
                    );
                }
            }
            Role::Close => {
                if chains.len() > 1 {
                    chains.pop();
                }
            }
            Role::Link => {
                if let Some(chain) = chains.last_mut() {
                    *chain = chain.saturating_add(1);
                }
            }
            // An operand right after an operand starts a new expression.
            Role::Operand if !after_operand => {}
            Role::Operand | Role::Break => {
                if let Some(chain) = chains.last_mut() {
                    *chain = 0;
                }
            }
        }
        if chains.last().is_some_and(|chain| *chain > MAX_CHAIN) {
            return at(
                line,
                column,
                format!("more than {MAX_CHAIN} operators, dots and indexes in one expression; split it into several"),
            );
        }
        after_operand = matches!(role, Role::Operand | Role::Close) || token.0 == TokenKind::Number;
        end = token.1.end;
    }
}

/// Control characters, and those that turn the direction of what a reader sees.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') || c.is_control() && !matches!(c, '\t' | '\r')
}

/// What a token does to the depth and to the chain it stands in.
#[derive(Clone, Copy)]
enum Role {
    Break,
    Close,
    End,
    Link,
    Open,
    Operand,
}

impl Role {
    fn of(token: &Token) -> Self {
        match token.0 {
            TokenKind::Eof => Self::End,
            TokenKind::Ident => match token.1.text() {
                "in" => Self::Link,
                "set(" => Self::Open,
                "as" | "contains" | "default" | "else" | "every" | "if" | "import" | "not" | "package" | "some"
                | "with" => Self::Break,
                _ => Self::Operand,
            },
            // `1 -1` is lexed as two numbers and parsed as a difference.
            TokenKind::Number if token.1.text().starts_with('-') => Self::Link,
            TokenKind::Symbol => match token.1.text() {
                "(" | "[" | "{" => Self::Open,
                ")" | "]" | "}" => Self::Close,
                "," | ";" | ":" | ":=" => Self::Break,
                _ => Self::Link,
            },
            _ => Self::Operand,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(source: &str, wanted: &str) {
        let refusal = check_text("a.rego", source).expect_err("refused").to_string();
        assert!(refusal.contains(wanted), "{refusal}");
    }

    #[test]
    fn a_module_that_is_too_large_is_refused() {
        refused(&"#".repeat(MAX_BYTES + 1), "a.rego:1:1: the module has 1048577 bytes");
        refused(&"\n".repeat(MAX_LINES + 1), "a.rego:1:1: the module has 20001 lines");
        refused(&format!("x := {}", "a".repeat(1100)), "maximum column width of 1024");
    }

    #[test]
    fn a_control_character_is_refused_because_nul_ends_the_module_for_regorus() {
        refused("package a\n#\0\nx := 1", "a.rego:2:2: control character U+0000");
        refused("package a\n# \u{202e}x", "a.rego:2:3: control character U+202E");
        let mut engine = regorus::Engine::new();
        let source = "package a\nx := 1 #\0\nx := 2";
        assert!(engine.add_policy("a.rego".to_owned(), source.to_owned()).is_ok());
        assert_eq!(engine.get_modules()[0].policy.len(), 1, "the second rule is not seen");
        assert!(check_text("a.rego", "package a\r\n\tx := 1\r\n").is_ok());
    }

    #[test]
    fn brackets_nest_so_deep_and_no_deeper() {
        let nested = |n: usize| format!("package a\nx := {}1{}", "[".repeat(n), "]".repeat(n));
        assert!(check_text("a.rego", &nested(MAX_NESTING)).is_ok());
        refused(&nested(MAX_NESTING + 1), "a.rego:2:16: brackets nested deeper than 10");
        for (open, close) in [("{", "}"), ("(", ")"), ("f(", ")"), ("a[", "]"), ("[1 | y = ", "]")] {
            refused(&format!("package a\nx := {}1{}", open.repeat(12), close.repeat(12)), "brackets nested deeper");
        }
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        let brackets = "[".repeat(50);
        let source = format!("package a\n# {brackets}\nx := \"\\\"{brackets}\"\ny := `{brackets}\n\"`\n");
        assert!(check_text("a.rego", &source).is_ok());
    }

    #[test]
    fn many_nested_literals_are_refused_although_each_is_fine() {
        let literal = format!("x := {}1{}\n", "[".repeat(9), "]".repeat(9));
        assert!(check_text("a.rego", &format!("package a\n{literal}")).is_ok());
        refused(&format!("package a\n{}", literal.repeat(2000)), "takes too long to parse");
    }

    #[test]
    fn a_long_chain_is_refused_whatever_it_is_made_of() {
        for link in ["\n+ 1", "\n| 1", "\nin y", "\n== 1", ".a", "[1]", "\n-1", "[1].a"] {
            refused(&format!("package a\nx := y{}", link.repeat(40)), "more than 32 operators");
        }
        refused(&format!("package a\nx := {}y", "-\n".repeat(40)), "more than 32 operators");
    }

    #[test]
    fn many_short_expressions_are_no_chain() {
        for line in [
            "a.b[c].d == -1\n",
            "f(a.b) > -1\n",
            "[1, 2] == [1 + 1, 2]\n",
            "not a.b\n",
            "x := -1\n",
            "some a in b.c\n",
            "a;b;c\n",
            "{1} | {2} == a\n",
        ] {
            let source = format!("package a\np if {{\n{}}}\n", line.repeat(60));
            assert_eq!(check_text("a.rego", &source), Ok(()), "{line}");
        }
        let items = "\"a\", ".repeat(100);
        assert!(check_text("a.rego", &format!("package a\nx := [\n{}]", format!("{items}\n").repeat(5))).is_ok());
    }
}
