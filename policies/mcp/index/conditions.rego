# METADATA
# title: Conditions, indexed
# description: Reads data alone, so it is evaluated once, when data is loaded. See mcp.abac.
package mcp.index.conditions

import data.mcp.names

tools := names.table(data.conditions)

labels := names.lists(data.labels)

# METADATA
# description: The keys that some entry has. What none has is not looked at.
uses := {key: true |
	some part in _parts
	some key, _ in part
}

# METADATA
# description: The claims that some entry asks for, and those in which a path with dots begins.
claims contains claim if {
	some wanted in _wanted_claims
	some claim in [wanted, split(wanted, ".")[0]]
}

# METADATA
# description: The way from there, by path.
inner[claim] := array.slice(parts, 1, count(parts)) if {
	some claim in _wanted_claims
	contains(claim, ".")
	parts := split(claim, ".")
}

_wanted_claims contains claim if {
	some part in _parts
	is_object(part.claims)
	some claim, _ in part.claims
}

is_used if tools

is_used if data.label_conditions

is_used if data.labels

# Windows of time as minutes of the day, by the text or the list of texts that says them; one over midnight is two.
windows[hours] contains window if {
	some hours in _all_hours
	some text in _texts(hours)
	regex.match(`^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`, text)
	[from, to] := [minutes |
		some clock in split(text, "-")
		[hour, minute] = split(clock, ":")
		minutes := (to_number(trim_prefix(hour, "0")) * 60) + to_number(trim_prefix(minute, "0"))
	]
	some window in _windows(from, to)
}

_windows(from, to) := [[from, to]] if from <= to

else := [[from, 1440], [0, to]]

_all_hours contains "00:00-24:00"

_all_hours contains hours if {
	some part in _parts
	hours := part.time.hours
}

_texts(hours) := [hours] if is_string(hours)

else := [text | some text in hours; is_string(text)] if is_array(hours)

# Entries, and what excuses from them.
_parts contains part if {
	some entry in _entries
	is_object(entry)
	some part in [entry, object.get(entry, "unless", {})]
	is_object(part)
}

_entries contains entry if some _, entry in data.conditions

_entries contains entry if some _, entry in data.label_conditions

# From 0, as 1970-01-01 was a Thursday, 4.
days := ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

# Labels of another form, under which nothing passes.
malformed contains label if {
	some label, marks in data.labels
	not _is_label(marks)
}

_is_label(marks) if {
	is_object(marks)
	every key, what in marks { _marks(key, what) }
}

_marks(key, names_or_globs) if {
	key in {"tools", "prompts", "resources", "methods"}
	is_array(names_or_globs)
	every name in names_or_globs { is_string(name) }
}

_marks("annotations", values) if is_object(values)

_marks("arguments", by_tool) if {
	is_object(by_tool)
	every by_argument in by_tool { is_object(by_argument) }
}

# Does anything depend on the time, or ask for a login?
reads_time if {
	some part in _parts
	some key in ["time", "token"]
	part[key]
}

asks_login if {
	some entry in _entries
	entry.login
}

asks_login if data.guards.destructive.login
