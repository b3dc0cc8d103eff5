//! What parsers are known to disagree on, as tokens.

use crate::random::Random;

pub(crate) const NUMBERS: [&str; 50] = [
    "0",
    "-1",
    "1.0",
    "1e0",
    "10e-1",
    "1E+2",
    "1e2",
    "-0",
    "-0.0",
    "-0e1",
    "0e10",
    "0.0",
    "0E-5",
    "1e22",
    "1e23",
    "1e21",
    "-1E16",
    "9007199254740991",
    "-9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "-9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "100000000000000000000000",
    "1e308",
    "1.7976931348623157e308",
    "1.7976931348623158e308",
    "1.7976931348623159e308",
    "1e309",
    "1e400",
    "-1e400",
    "1e-400",
    "-1e-400",
    "5e-324",
    "4.9406564584124654e-324",
    "2e-324",
    "2.4703282292062327e-324",
    "2.2250738585072011e-308",
    "0.1000000000000000055511151231257827021181583404541015625",
    "8.41e21",
    "9007199254740993.0",
    "9007199254740992.5",
    "9007199254740991e0",
    "0.30000000000000004",
    "1e00005",
    "123456789012345678e-5",
];

/// A number: any double, or digits by chance, in any of the ways to spell it.
pub(crate) fn number(random: &mut Random) -> String {
    match random.below(8) {
        0 => {
            let double = f64::from_bits(random.next());
            if double.is_finite() { format!("{double:e}") } else { "0.5".into() }
        }
        1 => format!("{}", random.next() >> random.below(64)),
        2 => format!("-{}", (random.next() >> (11 + random.below(53))) | 1),
        3 => format!("{}.{}", random.below(1000), random.next()),
        4 => format!("0.{}{}", "0".repeat(random.below(30)), random.next()),
        5 => {
            // Halfway cases, where the last digits decide how it is rounded.
            let double = f64::from_bits((random.next() >> 12) | (1023 << 52));
            format!("{double:.*}", 40 + random.below(24))
        }
        6 => {
            let digits = random.below(40);
            let mut out = String::from(if random.once_in(2) { "-" } else { "" });
            out.push(char::from(b'1' + random.byte() % 9));
            out.push('.');
            (0..=digits).for_each(|_| out.push(char::from(b'0' + random.byte() % 10)));
            format!("{out}{}{}{}", random.pick(&["e", "E"]), random.pick(&["", "+", "-"]), random.below(330))
        }
        _ => match random.once_in(40) {
            // Beyond what some take as the longest number.
            true => format!("0.{}", "3".repeat(900 + random.below(300))),
            false => format!("{}e{}{}", random.below(100), "0".repeat(random.below(4)), random.below(15)),
        },
    }
}

pub(crate) const STRINGS: [&str; 44] = [
    "\"\"",
    "\" \"",
    "\"\\u0000\"",
    "\"a\\u0000b\"",
    "\"\\u001f\"",
    "\"\\u007f\"",
    "\"\u{7f}\"",
    "\"\\\"\"",
    "\"\\\\\"",
    "\"\\/\"",
    "\"\\b\\f\\n\\r\\t\"",
    "\"\u{e9}\"",
    "\"e\u{301}\"",
    "\"\u{1f600}\"",
    "\"\\ud83d\\ude00\"",
    "\"\\uD83D\\uDE00\"",
    "\"\u{ffff}\"",
    "\"\u{10ffff}\"",
    "\"\\uffff\"",
    "\"\\ufffe\"",
    "\"\u{fdd0}\"",
    "\"\u{2028}\u{2029}\"",
    "\"\\u2028\"",
    "\"\u{feff}\"",
    "\"\\ufeff\"",
    "\"\u{200b}\"",
    "\"\u{202e}abc\"",
    "\"\u{ff52}\u{ff4d}\"",
    "\"\u{130}\"",
    "\"\u{fffd}\"",
    "\"rm\\n\"",
    "\" rm\"",
    "\"RM\"",
    "\"null\"",
    "\"[1,2]\"",
    "\"{\\\"a\\\":1}\"",
    "\"1e5\"",
    "\"</script>\"",
    "\"\\u003c\\u0026\"",
    "\"=?base64?cm0=?=\"",
    "\"tools\\/call\"",
    "\"\\u0074ools/call\"",
    "\"file:///etc/../a%00\"",
    "\"2026-07-28\"",
];

pub(crate) const SURROGATES: [&str; 14] = [
    "\"\\ud83d\\ude00\"",
    "\"\\uD800\\uDC00\"",
    "\"\\udbff\\udfff\"",
    "\"a\\ud83d\\ude00b\"",
    "\"\\ud800\"",
    "\"\\udc00\"",
    "\"\\ud800x\"",
    "\"\\ud800\\u0041\"",
    "\"\\udc00\\ud800\"",
    "\"\\ud800\\ud800\\udc00\"",
    "\"\\ud800\\n\"",
    "\"\\uD834\\uDD1E\"",
    "\"\\ud83d\\\\ude00\"",
    "\"\\ud83d \\ude00\"",
];

/// Text of any characters, most of them plain.
pub(crate) fn text(random: &mut Random) -> String {
    let mut out = String::new();
    for _ in 0..random.below(24) {
        let c = match random.below(16) {
            0 => char::from_u32(u32::try_from(random.below(0x11_0000)).unwrap()).unwrap_or('\u{fffd}'),
            1 => char::from_u32(u32::try_from(random.below(0x800)).unwrap()).unwrap_or('a'),
            2 => random.pick(&["\"", "\\", "/", "\u{200d}", "\u{7f}", "'", "\u{1f468}"]).chars().next().unwrap_or('a'),
            _ => char::from(b' ' + random.byte() % 95),
        };
        out.push(c);
    }
    out
}

pub(crate) const NAMES: [&str; 36] = [
    "\"__proto__\"",
    "\"constructor\"",
    "\"prototype\"",
    "\"toString\"",
    "\"hasOwnProperty\"",
    "\"valueOf\"",
    "\"length\"",
    "\"\"",
    "\"$serde_json::private::Number\"",
    "\"$serde_json::private::RawValue\"",
    "\"@class\"",
    "\"$type\"",
    "\"$ref\"",
    "\"$id\"",
    "\"0\"",
    "\"1\"",
    "\"-1\"",
    "\"01\"",
    "\"1e0\"",
    "\"a\\\"b\"",
    "\"a\\\\\"",
    "\"\\u0022\"",
    "\"a.b\"",
    "\"a/b\"",
    "\"\\ud83d\\ude00\"",
    "\"\u{e9}\"",
    "\"e\u{301}\"",
    "\"\u{1f600}\"",
    "\"\u{ffff}\"",
    "\"\u{e000}\"",
    "\"\\u005f_proto__\"",
    "\"name\"",
    "\"uri\"",
    "\"taskId\"",
    "\"_meta\"",
    "\"arguments\"",
];

pub(crate) const IDS: [&str; 24] = [
    "0",
    "-1",
    "1",
    "9007199254740991",
    "9007199254740993",
    "1.0",
    "1.5",
    "1e0",
    "1e3",
    "-0",
    "null",
    "true",
    "\"\"",
    "\"1\"",
    "\"a\\u0000\"",
    "[]",
    "{}",
    "[1]",
    "\"\u{e9}\"",
    "\"\u{200b}\"",
    "18446744073709551616",
    "\"\\ud83d\\ude00\"",
    "9007199254740992",
    "-9007199254740991",
];

pub(crate) const METHODS: [&str; 12] = [
    "\"tools/call\"",
    "\"tools\\/call\"",
    "\"Tools/Call\"",
    "\"tools/call \"",
    "\"\"",
    "null",
    "1",
    "[\"tools/call\"]",
    "\"tools/list\"",
    "\"t\\u006fols/call\"",
    "\"notifications/x\"",
    "\"tools/call\\u0000\"",
];

pub(crate) const ENVELOPE: [(&str, &str); 18] = [
    ("jsonrpc", "\"1.0\""),
    ("jsonrpc", "2.0"),
    ("jsonrpc", "\"2.0 \""),
    ("jsonrpc", "\"2\\u002e0\""),
    ("result", "{}"),
    ("error", "{}"),
    ("error", "null"),
    ("error", "{\"code\":1,\"message\":\"m\"}"),
    ("error", "{\"code\":\"1\",\"message\":5}"),
    ("error", "\"x\""),
    ("result", "null"),
    ("result", "[]"),
    ("params", "null"),
    ("params", "[]"),
    ("params", "\"x\""),
    ("id", "null"),
    ("error", "{\"code\":1.5,\"message\":\"m\"}"),
    ("extra", "1"),
];

pub(crate) const LITERALS: [&str; 14] = [
    "NaN",
    "Infinity",
    "-Infinity",
    "undefined",
    "True",
    "None",
    "nan",
    "TRUE",
    "nul",
    "'x'",
    "0x1F",
    "1n",
    "inf",
    "new Date()",
];

pub(crate) const INVALID: [&[u8]; 14] = [
    b"\xff",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xf8\x88\x80\x80\x80",
    b"\xc3",
    b"\xf4\x90\x80\x80",
    b"\xed\xa0\x80",
    b"\xed\xb0\x80",
    b"\x80",
    b"\xe2\x82",
    b"\xf0\x9f\x98",
    b"\xc1\x81",
    b"\xfe",
    b"\xed\xa0\xbd\xed\xb8\x80",
];

pub(crate) const ESCAPES: [&str; 14] = [
    "\\x41", "\\u{41}", "\\'", "\\a", "\\u00", "\\uZZZZ", "\\U0041", "\\0", "\\v", "\\", "\\u+041", "\\u 041", "\\e",
    "\\u00e9",
];
