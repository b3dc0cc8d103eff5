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
	globs := {owner: by_kind |
		some owner, lists_by_kind in names_by_owner
		by_kind := {kind: names |
			some kind in _kinds
			names := [name | some name in _list(lists_by_kind, kind); contains(name, "*")]
			count(names) > 0
		}
	}
	index := {
		"exact": {owner: by_kind |
			some owner, lists_by_kind in names_by_owner
			by_kind := {kind: names |
				some kind in _kinds
				names := {name | some name in _list(lists_by_kind, kind); not contains(name, "*")}
				count(names) > 0
			}
		},
		"beginnings": {owner: _by_kind(globs_by_kind, "beginning") | some owner, globs_by_kind in globs},
		"ends": {owner: _by_kind(globs_by_kind, "end") | some owner, globs_by_kind in globs},
		"patterns": {owner: by_kind |
			some owner, globs_by_kind in globs
			by_kind := {kind: patterns(names) | some kind, names in _by_kind(globs_by_kind, "other")}
		},
	}
}

# What has to be compared of the globs of one form; no kind without any.
_by_kind(globs_by_kind, form) := {kind: texts |
	some kind, globs in globs_by_kind
	texts := [text |
		some glob in globs
		[form_of_glob, text] := _form(split(glob, "*"))
		form_of_glob == form
	]
	count(texts) > 0
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

_kinds := {"tools", "prompts", "resources", "methods"}

_list(lists_by_kind, kind) := [name | some name in lists_by_kind[kind]; is_string(name)] if {
	is_object(lists_by_kind)
	is_array(lists_by_kind[kind])
} else := []

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
