# METADATA
# title: Paths below a directory
# description: |
#   For an argument that a server opens. A path is compared segment by segment, with
#   `\` for `/`, and without empty segments and `.`. What may be more than it looks
#   is below nothing: `..`, control characters, escapes such as `%2e`, and `~` at the
#   front. Where links lead is not known here.
package mcp.paths

# METADATA
# description: Is this a path, or a list of paths, below one of these directories?
are_below(directories, value) if is_below(directories, value)

are_below(directories, value) if {
	is_array(value)
	every path in value { is_below(directories, path) }
}

is_below(directories, path) if {
	is_array(directories)
	is_sound(path)
	segments := _segments(path)
	some directory in directories
	above := _segments(directory)
	count(above) > 0
	every index, segment in above { segments[index] == segment }
}

# METADATA
# description: Is this a path, or the path of a URI, that all read alike?
is_sound(path) if {
	is_string(path)
	not regex.match(`[\x00-\x1f\x7f]|%(2e|2f|5c|25|0|1|7f)|^~|(^|[/\\])\.\.([/\\?#;]|$)`, lower(path))
}

# `/` counts as the first segment of what begins with it.
_segments(path) := array.concat(_root(plain), [segment | some segment in split(plain, "/"); not segment in {"", "."}]) if {
	is_string(path)
	plain := replace(path, `\`, "/")
}

_root(path) := ["/"] if startswith(path, "/")

else := []
