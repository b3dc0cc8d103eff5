# METADATA
# title: Names and globs
# description: |
#   In data a name may be a glob, in which `*` stands for any run of characters,
#   dots and slashes too, and nothing else is special. When data is loaded, exact
#   names become keys, beginnings (`read_*`) and ends (`*_read`) lists that one call
#   of a builtin goes through, and other globs regular expressions, ten to one.
package mcp.names

# METADATA
# description: |
#   A table whose keys are names or globs, as an index for `entries`. What is no
#   table has an entry that nobody can meet, for every name.
table(entries_by_name) := {
	"exact": {name: [entry] | some name, entry in entries_by_name; not contains(name, "*")},
	"globs": [{"pattern": _alternatives([name]), "entry": entry} |
		some name, entry in entries_by_name
		contains(name, "*")
	],
} if {
	is_object(entries_by_name)
} else := {"exact": {}, "globs": [{"pattern": "", "entry": null}]}

# METADATA
# description: The entries of a table whose key is this name, or a glob that it matches.
entries(index, name) := array.concat(
	[entry | some entry in index.exact[name]],
	[entry | some glob in index.globs; regex.match(glob.pattern, name); entry := glob.entry],
)

# METADATA
# description: Lists of names by owner and kind, as an index for `covers`.
lists(names_by_owner) := index if {
	names := {owner: _by_kind(lists_by_kind) | some owner, lists_by_kind in names_by_owner}
	globs := {owner: globs_by_kind |
		some owner, by_kind in names
		globs_by_kind := {kind: globs | some kind, list in by_kind; globs := _globs(list); count(globs) > 0}
	}
	index := {
		"exact": {owner: exact_by_kind |
			some owner, by_kind in names
			exact_by_kind := {kind: exact | some kind, list in by_kind; exact := _exact(list); count(exact) > 0}
		},
		"beginnings": {owner: _of_form(globs_by_kind, "beginning") | some owner, globs_by_kind in globs},
		"ends": {owner: _of_form(globs_by_kind, "end") | some owner, globs_by_kind in globs},
		"patterns": {owner: by_kind |
			some owner, globs_by_kind in globs
			by_kind := {kind: patterns(others) | some kind, others in _of_form(globs_by_kind, "other")}
		},
	}
}

_by_kind(lists_by_kind) := {kind: texts(list) |
	some kind, list in object.filter(lists_by_kind, {"tools", "prompts", "resources", "methods"})
	is_array(list)
} if {
	is_object(lists_by_kind)
} else := {}

# METADATA
# description: |
#   The texts of a list. Values are ordered by their types: what lies between two
#   texts is one. To ask each would cost more than all else.
texts(list) := list if {
	is_array(list)
	is_string(min(list))
	is_string(max(list))
} else := [text | some text in list; is_string(text)]

_exact(names) := {name | some name in names} if {
	contains(concat("", names), "*") == false
} else := {name | some name in names; not contains(name, "*")}

_globs(names) := [] if {
	contains(concat("", names), "*") == false
} else := [name | some name in names; contains(name, "*")]

# What has to be compared of the globs of one form; no kind without any.
_of_form(globs_by_kind, form) := {kind: parts |
	some kind, globs in globs_by_kind
	parts := [part |
		some glob in globs
		[form_of_glob, part] := _form(split(glob, "*"))
		form_of_glob == form
	]
	count(parts) > 0
}

_form(parts) := ["beginning", parts[0]] if {
	count(parts) == 2
	parts[1] == ""
}

else := ["end", parts[1]] if {
	count(parts) == 2
	parts[0] == ""
}

else := ["other", concat("*", parts)]

# METADATA
# description: Has this owner this name of this kind in one of its lists?
covers(index, owner, kind, name) if name in index.exact[owner][kind]

covers(index, owner, kind, name) if strings.any_prefix_match(name, index.beginnings[owner][kind])

covers(index, owner, kind, name) if strings.any_suffix_match(name, index.ends[owner][kind])

covers(index, owner, kind, name) if {
	some pattern in index.patterns[owner][kind]
	regex.match(pattern, name)
}

# METADATA
# description: Globs as regular expressions, ten in each.
patterns(globs) := [_alternatives(array.slice(globs, start, start + 10)) |
	some start, _ in globs
	start % 10 == 0
]

_alternatives(globs) := sprintf("^(?s:%s)$", [concat("|", [_regex(glob) | some glob in globs])])

# METADATA
# description: A glob as the inside of a regular expression.
_regex(glob) := concat(".*", [regex.replace(part, `[\\.+?()\[\]{}^$|]`, `\$0`) | some part in split(glob, "*")])
