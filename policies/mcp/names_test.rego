package mcp.names_test

import data.mcp.names

_index := names.table({"read_*": 1, "read_all": 2, "*": 3, "a.b": 4})

test_entries_are_found_by_name_and_by_glob if {
	{entry | some entry in names.entries(_index, "read_all")} == {1, 2, 3}
	{entry | some entry in names.entries(_index, "read_x")} == {1, 3}
	{entry | some entry in names.entries(_index, "xread_x")} == {3}
	{entry | some entry in names.entries(_index, "aab")} == {3}
}

test_what_is_no_table_has_an_entry_for_everything if {
	every wrong in [["a"], "a", 5, null, false] { names.entries(names.table(wrong), "anything") == [null] }
}

test_a_star_alone_is_special if {
	every pair in [["a?c", "abc"], ["a[b]c", "abc"], ["{a,b}", "a"], ["a.c", "abc"], ["a|b", "a"], ["^a$", "a"], ["a\\", "a"]] {
		index := names.lists({"r": {"tools": [concat("", [pair[0], "*"]), pair[0]]}})
		not names.covers(index, "r", "tools", pair[1])
		names.covers(index, "r", "tools", pair[0])
		names.covers(index, "r", "tools", sprintf("%sx/y.z", [pair[0]]))
	}
}

test_names_are_of_one_owner_and_of_one_kind if {
	index := names.lists({"r": {"tools": ["a", "b*"], "prompts": ["c"]}, "s": {"tools": ["d"]}})
	names.covers(index, "r", "tools", "a")
	names.covers(index, "r", "tools", "bx")
	not names.covers(index, "r", "tools", "c")
	not names.covers(index, "r", "tools", "d")
	not names.covers(index, "s", "tools", "a")
	not names.covers(index, "nobody", "tools", "a")
}

test_many_globs_are_all_there if {
	globs := [sprintf("tool_*_%d_*", [n]) | some n in numbers.range(1, 205)]
	index := names.lists({"r": {"tools": globs}})
	count(index.patterns.r.tools) == 21
	every n in numbers.range(1, 205) { names.covers(index, "r", "tools", sprintf("tool_x_%d_x", [n])) }
	not names.covers(index, "r", "tools", "tool_x_206_x")
}

test_what_is_no_name_names_nothing if {
	every wrong in [[5], [null], [["a"]], "a", 5, {"a": "*"}] {
		index := names.lists({"r": {"tools": wrong}, "s": wrong})
		not names.covers(index, "r", "tools", "a")
		not names.covers(index, "s", "tools", "a")
	}
}

test_what_is_no_name_takes_no_name_with_it if {
	index := names.lists({"r": {"tools": [null, 5, "a", "b*", ["c"], {"d": "d"}]}})
	names.covers(index, "r", "tools", "a")
	names.covers(index, "r", "tools", "bx")
	every name in ["b", "c", "d", "5"] { not names.covers({"exact": index.exact, "beginnings": {}, "ends": {}, "patterns": {}}, "r", "tools", name) }
}

test_a_glob_may_have_its_star_anywhere if {
	index := names.lists({"r": {"tools": ["a_*", "*_b", "c_*_c", "*_d_*", "e**"]}})
	every name in ["a_", "a_x", "_b", "x_b", "c__c", "c_x_c", "_d_", "x_d_x", "e", "ex"] { names.covers(index, "r", "tools", name) }
	every name in ["a", "xa_", "b", "_bx", "c_c", "c_x_cx", "_d", "xe"] { not names.covers(index, "r", "tools", name) }
}
