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

# Each condition with values that meet it, and values that do not.
_table := [
	[5, [5, 5.0], ["5", null, [5]]],
	[null, [null], [false, "", 0]],
	[["pdf", "text"], ["pdf"], ["exe", ["pdf"], null]],
	[{"equals": {"a": 1}}, [{"a": 1}], [{"a": 2}, 1]],
	[{"in": ["a", 1]}, ["a", 1], ["b", true]],
	[{"prefix": "/srv/"}, ["/srv/", "/srv/x"], ["/srv", "x/srv/", 5, ["/srv/"]]],
	[{"glob": "*.txt"}, [".txt", "a/b\n.txt"], ["a.txt2", "axtxt", 5]],
	[{"glob": "a.b[c]*"}, ["a.b[c]", "a.b[c]x"], ["aab[c]", "a.bc"]],
	[{"glob": "a*.b[c]*"}, ["a.b[c]", "a\n.b[c]x"], ["aab[c]", "a.bc"]],
	[{"min": 1, "max": 3}, [1, 2.5, 3], [0, 4, "2", null, [2]]],
	[{"size": {"min": 1, "max": 2}}, ["a", "äö", [1], {"a": 1}], ["", "abc", [], 1, null]],
	[{"each": {"in": [1, 2]}}, [[], [1, 2, 1]], [[3], 1, "1", {"a": 1}]],
	[{"each": {"each": ["a"]}}, [[], [["a"], []]], [["a"], [["b"]]]],
	[{"any": {"any": ["a"]}}, [[["a"], 1]], [["a"], [["b"]], []]],
	[{"members": {"a": [1], "b": {"absent": true}}}, [{"a": 1}, {"a": 1, "c": 2}], [{}, {"a": 2}, {"a": 1, "b": 2}, 1]],
	[{"members": {"a": {"members": {"b": {"min": 1}}}}}, [{"a": {"b": 1}}], [{"a": {"b": 0}}, {"a": 1}]],
	[{"each": {"prefix": "x"}, "size": {"min": 1}}, [["x"], ["xy", "x"]], [[], ["y"]]],
]

test_a_condition_is_met_by_what_it_says if {
	every row in _table {
		every value in row[1] { conditions.meets(value, row[0]) with data.conditions as row }
	}
}

test_a_condition_is_not_met_by_anything_else if {
	every row in _table {
		every value in row[2] { not conditions.meets(value, row[0]) with data.conditions as row }
	}
}

test_what_is_no_condition_is_met_by_nothing if {
	every wrong in [
		{}, {"maximum": 5}, {"max": "5"}, {"max": 9, "maximum": 9}, {"in": 5}, {"size": 5}, {"size": {}}, {"absent": true},
		{"absent": false}, {"prefix": 5}, {"glob": ["*"]}, {"members": []}, {"size": {"max": 9, "exact": 5}}, {"each": {}},
		{"size": {"max": "5"}}, {"size": {"min": false}}, {"any": {}},
	] {
		every value in [5, "5", [5], {"a": 5}, null, true] { not conditions.meets(value, wrong) with data.conditions as [wrong] }
	}
}

test_what_lies_too_deep_is_met_by_nothing if {
	not conditions.meets([[[1]]], {"each": {"each": {"each": 1}}})
	not conditions.meets([[[1]]], {"any": {"any": {"any": 1}}})
	not conditions.meets({"a": {"b": {"c": 1}}}, {"members": {"a": {"members": {"b": {"members": {"c": 1}}}}}})
}
