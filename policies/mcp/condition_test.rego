package mcp.condition_test

import data.mcp.condition

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
	[{"min": 1, "max": 3}, [1, 2.5, 3], [0, 4, "2", null, [2]]],
	[{"size": {"min": 1, "max": 2}}, ["a", "äö", [1], {"a": 1}], ["", "abc", [], 1, null]],
	[{"each": {"in": [1, 2]}}, [[], [1, 2, 1]], [[3], 1, "1", {"a": 1}]],
	[{"each": {"each": ["a"]}}, [[], [["a"], []]], [["a"], [["b"]]]],
	[{"members": {"a": [1], "b": {"absent": true}}}, [{"a": 1}, {"a": 1, "c": 2}], [{}, {"a": 2}, {"a": 1, "b": 2}, 1]],
	[{"members": {"a": {"members": {"b": {"min": 1}}}}}, [{"a": {"b": 1}}], [{"a": {"b": 0}}, {"a": 1}]],
	[{"each": {"prefix": "x"}, "size": {"min": 1}}, [["x"], ["xy", "x"]], [[], ["y"]]],
]

test_a_condition_is_met_by_what_it_says if {
	every row in _table {
		every value in row[1] { condition.holds(row[0], value) with data.conditions as row }
	}
}

test_a_condition_is_not_met_by_anything_else if {
	every row in _table {
		every value in row[2] { not condition.holds(row[0], value) with data.conditions as row }
	}
}

test_what_is_no_condition_is_met_by_nothing if {
	every wrong in [
		{}, {"maximum": 5}, {"max": "5"}, {"max": 9, "maximum": 9}, {"in": 5}, {"size": 5}, {"size": {}}, {"absent": true},
		{"absent": false}, {"prefix": 5}, {"glob": ["*"]}, {"members": []}, {"size": {"max": 9, "exact": 5}}, {"each": {}},
	] {
		every value in [5, "5", [5], {"a": 5}, null, true] { not condition.holds(wrong, value) }
	}
}

test_what_lies_too_deep_is_met_by_nothing if {
	not condition.holds({"each": {"each": {"each": 1}}}, [[[1]]])
	not condition.holds({"members": {"a": {"members": {"b": {"members": {"c": 1}}}}}}, {"a": {"b": {"c": 1}}})
}
