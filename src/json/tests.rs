use super::*;

fn read(text: &str) -> Result<Json<'_>, JsonError> {
    Json::read(text.as_bytes(), Limits::default())
}

#[test]
fn what_parsers_agree_on_is_read() {
    for text in [
        "null",
        "1e30",
        "1.5E22",
        "-123456789012345678901234567890.0",
        "[0.0,0e5,5e-324,\"18446744073709551616\"]",
        " {\"a\": [1, -2, 0.5, \"\\u00e9\", true, {}]} \n",
        "\"\\ud83d\\ude00\"",
        "9007199254740991",
    ] {
        assert!(read(text).is_ok(), "{text}");
    }
}

#[test]
fn a_fraction_is_read_to_its_last_bit() {
    for (text, number) in
        [("0.09999999999999999", 0.099_999_999_999_999_99), ("123456789.1234568", 123_456_789.123_456_8)]
    {
        assert_eq!(read(text), Ok(Json::Float(number)), "{text}");
    }
}

#[test]
fn what_parsers_disagree_on_is_refused() {
    for text in
        ["", " ", "{} {}", "{}]", "\u{feff}{}", "[1,]", "NaN", "1e400", "01", "\"\\ud800\"", "{\"\\ud800\":1}", "/**/1"]
    {
        assert_eq!(read(text).expect_err(text).fault, Fault::Syntax, "{text}");
    }
    for text in [
        "-0",
        "-0.0",
        "-1e-400",
        "9007199254740992",
        "-9007199254740992",
        "18446744073709551616",
        "-100000000000000000000000000000",
        "[\"\\\\\",1,18446744073709551616]",
        "[0.0,1e-400]",
        "123.456e-789",
        "{\"a\\u0000\":1}",
        "{\"__proto__\":{}}",
        "[{\"$serde_json::private::Number\":\"5\"}]",
    ] {
        assert_eq!(read(text).expect_err(text).fault, Fault::Ambiguous, "{text}");
    }
    assert!(Json::read(b"\"\xff\"", Limits::default()).is_err());
    assert!(Json::read(b"\"\xed\xa0\x80\"", Limits::default()).is_err());
}

#[test]
fn where_nothing_depends_on_numbers_they_may_be_any() {
    let limits = Limits { exact: false, ..Limits::default() };
    for text in ["-0", "-0.0", "9223372036854775807", "18446744073709551615", "-9007199254740993", "1e-400"] {
        assert!(Json::read(text.as_bytes(), limits).is_ok_and(|number| number.as_number().is_some()), "{text}");
    }
    assert_eq!(Json::read(b"9007199254740991", limits), Ok(Json::Integer(9_007_199_254_740_991)));
}

#[test]
fn a_member_may_stand_once_at_any_depth_and_however_it_is_escaped() {
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":1}"#,
        r#"[[{"b":{"a":1,"c":2,"a":3}}]]"#,
        r#"{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1,"8":1}"#,
        r#"{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"1":1}"#,
    ] {
        assert_eq!(read(text).expect_err(text).fault, Fault::Duplicate, "{text}");
    }
    assert!(read(r#"{"a":1,"b":{"a":1}}"#).is_ok());
}

#[test]
fn members_of_one_object_do_not_look_alike() {
    for text in [
        r#"{"a":1,"A":1}"#,
        r#"[{"b":[{"path":1,"x":2,"pa\u200bth":3}]}]"#,
        r#"{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"k":1,"\u212a":1}"#,
    ] {
        assert_eq!(read(text).expect_err(text).fault, Fault::Lookalike, "{text}");
        let limits = Limits { alike: true, ..Limits::default() };
        assert!(Json::read(text.as_bytes(), limits).is_ok(), "{text}");
    }
    let limits = Limits { alike: true, ..Limits::default() };
    let twice = r#"{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1,"8":1}"#;
    assert_eq!(Json::read(twice.as_bytes(), limits).unwrap_err().fault, Fault::Duplicate);
}

#[test]
fn names_strings_and_numbers_are_bounded() {
    let number = |digits: usize| format!("[\"\\\\\\\"1\",0.{}]", "3".repeat(digits));
    assert!(read(&number(126)).is_ok());
    assert_eq!(read(&number(127)).unwrap_err().fault, Fault::TooLarge);
    assert_eq!(read(&format!("1.{}", "0".repeat(127))).unwrap_err().fault, Fault::TooLarge);
    let limits = Limits { name: 3, string: 4, ..Limits::default() };
    assert!(Json::read(br#"{"abc":"abcd"}"#, limits).is_ok());
    for text in [r#"{"abcd":1}"#, r#"{"a":"abcde"}"#, r#"["\u00e9\u00e9x"]"#, r#"{"\u0061bcd":1}"#] {
        assert_eq!(Json::read(text.as_bytes(), limits).unwrap_err().fault, Fault::TooLarge, "{text}");
    }
    let odd = |count: usize, name: &str| {
        let members: Vec<String> = (0..count).map(|number| format!("\"{name}{number:05}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert!(read(&odd(200, "\u{fdfa}")).is_ok());
    assert_eq!(read(&odd(220, "\u{fdfa}")).unwrap_err().fault, Fault::TooLarge);
    assert!(read(&odd(2300, "\u{e9}")).is_ok());
    assert_eq!(read(&odd(2400, "\u{e9}")).unwrap_err().fault, Fault::TooLarge);
    assert!(read(&odd(15_000, "\u{540d}\u{524d}")).is_ok());
}

#[test]
fn depth_and_number_of_values_are_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(&nested(64)).is_ok());
    assert!(read(&nested(65)).is_err());
    assert!(read(&"[".repeat(1_000_000)).is_err());
    let limits = Limits { depth: 2, nodes: 4, ..Limits::default() };
    assert!(Json::read(b"[1,2,3]", limits).is_ok());
    assert!(Json::read(b"[1,2,3,4]", limits).is_err());
    assert!(Json::read(b"[[],[],[]]", limits).is_ok());
}
