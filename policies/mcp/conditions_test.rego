package mcp.conditions_test

import data.mcp.conditions

_value := {
	"text": "a.b*c", "number": 5, "list": ["x@a.com", "y@a.com"], "empty": [], "null": null, "false": false,
	"rows": [{"n": 1}, {"n": 2}], "deep": {"list": [1, 2]},
}

_meets := [
	["text", "a.b*c"],
	["text", ["b", "a.b*c"]],
	["text", {"equals": "a.b*c"}],
	["text", {"in": ["a.b*c"]}],
	["text", {"prefix": "a."}],
	["text", {"glob": "a.*c"}],
	["text", {"glob": "*.b*c"}],
	["text", {"size": {"min": 5, "max": 5}}],
	["number", 5.0],
	["number", {"min": 5, "max": 5}],
	["list", {"each": {"glob": "*@a.com"}, "size": {"max": 2}}],
	["list", {"any": {"prefix": "y"}}],
	["empty", {"each": 1}],
	["null", null],
	["false", false],
	["other", {"absent": true}],
	["rows", {"any": {"members": {"n": 2, "b": {"absent": true}}}}],
	["deep", {"members": {"list": {"any": 2, "size": {"min": 2}}, "b": {"absent": true}}}],
	["deep", {"size": {"max": 1}}],
]

_misses := [
	["text", "a.bxc"],
	["text", {"glob": "axb*c"}],
	["text", {"glob": "*xb*c"}],
	["text", {"prefix": "b"}],
	["text", {"size": {"max": 4}}],
	["text", {"each": "a"}],
	["text", {"min": 1}],
	["text", {"absent": true}],
	["number", {"min": 6}],
	["number", {"max": 4}],
	["number", {"prefix": "5"}],
	["number", {"size": {"min": 0}}],
	["list", {"each": {"prefix": "x"}}],
	["list", {"any": {"prefix": "z"}}],
	["empty", {"any": 1}],
	["null", {"absent": true}],
	["false", {"absent": true}],
	["false", null],
	["other", null],
	["other", {"each": 1}],
	["rows", {"each": {"members": {"n": {"max": 1}}}}],
	["deep", {"members": {"list": {"each": 2}}}],
]

_is_met(name, condition) if {
	conditions.met(_value, name, condition) with data.rules as [condition]
}

test_what_is_met if {
	every pair in _meets { _is_met(pair[0], pair[1]) }
}

test_what_is_not_met if {
	every pair in _misses { not _is_met(pair[0], pair[1]) }
}

_has_size(text, size) if {
	conditions.met({"a": text}, "a", {"size": size}) with data.rules as [{"allow": {"arguments": {"a": {"size": size}}}}]
}

test_a_text_has_as_many_characters_as_unicode_says if {
	_has_size("é😀", {"min": 2, "max": 2})
	not _has_size("é😀", {"min": 3})
	not _has_size("é😀", {"max": 1})
	_has_size("", {"min": 0, "max": 0})
	not _has_size("", {"min": 1})
}
