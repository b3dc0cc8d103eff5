package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// documents does what sdk.py does with the demo server, and says what its user gets.
func documents(ctx context.Context, session *mcp.ClientSession, found map[string]any) {
	call := func(tool string, given map[string]any) (*mcp.CallToolResult, error) {
		return session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: given})
	}
	read := func() string {
		return must(call("read_document", map[string]any{"id": "handbook"})).Content[0].(*mcp.TextContent).Text
	}
	tools := []string{}
	for tool, err := range session.Tools(ctx, nil) {
		tools = append(tools, must(tool, err).Name)
	}
	slices.Sort(tools)
	found["tools"] = tools
	found["read"] = read()
	found["resource"] = must(session.ReadResource(ctx, &mcp.ReadResourceParams{URI: "doc://handbook"})).Contents[0].Text
	summarize := &mcp.GetPromptParams{Name: "summarize_document", Arguments: map[string]string{"id": "handbook"}}
	found["prompt"] = must(session.GetPrompt(ctx, summarize)).Messages[0].Content.(*mcp.TextContent).Text
	result, err := call("read_payroll", map[string]any{"employee": "carol"})
	if err == nil {
		found["denied"] = map[string]any{"result": result}
	} else {
		said := map[string]any{"message": err.Error()}
		if wire := (*jsonrpc.Error)(nil); errors.As(err, &wire) {
			said["code"], said["data"] = wire.Code, wire.Data
		}
		found["denied"] = map[string]any{"error": said}
	}
	found["after"] = read()
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}
