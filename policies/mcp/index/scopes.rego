# METADATA
# title: Scopes, indexed
# description: Reads data alone, so it is evaluated once, when data is loaded. See mcp.scopes.
package mcp.index.scopes

import data.mcp.names

tools := names.table(data.tool_scopes)
