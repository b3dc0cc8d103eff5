// The repertoire of the official Go client: one line of JSON with what each step gave its user.
//
//	TOKEN=... go-client URL auto|legacy [documents]
//
// The same is done by client.mjs with the TypeScript clients; repertoire.py compares. With `documents` it does, for
// run.py, what sdk.py does with the demo server.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	modern = "2026-07-28"
	legacy = "2025-11-25"
	uri    = "test://watched-resource"
)

// What comes by itself, while a step runs or between two.
type heard struct {
	sync.Mutex
	all []any
}

func (h *heard) add(what any) {
	h.Lock()
	defer h.Unlock()
	h.all = append(h.all, what)
}

func (h *heard) list() []any {
	h.Lock()
	defer h.Unlock()
	return slices.Clone(h.all)
}

var logged, progress, changes heard

// Each request carries the token.
type withToken struct{}

func (withToken) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("authorization", "Bearer "+os.Getenv("TOKEN"))
	return http.DefaultTransport.RoundTrip(request)
}

func elicit(_ context.Context, request *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
	schema := request.Params.RequestedSchema.(map[string]any)
	content := map[string]any{}
	for name, field := range schema["properties"].(map[string]any) {
		content[name] = map[any]any{"boolean": true, "string": "Ada"}[field.(map[string]any)["type"]]
	}
	return &mcp.ElicitResult{Action: "accept", Content: content}, nil
}

func sample(context.Context, *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
	return &mcp.CreateMessageResult{Role: "assistant", Model: "none", Content: &mcp.TextContent{Text: "forty-two"}}, nil
}

var steps = map[string]any{}

func step(name string, run func() (any, error)) {
	result, err := run()
	if err != nil {
		result = map[string]any{"error": map[string]any{"class": fmt.Sprintf("%T", err), "message": err.Error()}}
	}
	steps[name] = result
}

func main() {
	// What waits longer than this would wait for ever.
	ctx, stop := context.WithTimeout(context.Background(), 50*time.Second)
	defer stop()
	client := mcp.NewClient(&mcp.Implementation{Name: "mcp-gate-tests", Version: "1.0.0"}, &mcp.ClientOptions{
		CreateMessageHandler: sample,
		ElicitationHandler:   elicit,
		LoggingMessageHandler: func(_ context.Context, request *mcp.LoggingMessageRequest) {
			logged.add(request.Params)
		},
		ProgressNotificationHandler: func(_ context.Context, request *mcp.ProgressNotificationClientRequest) {
			progress.add([]any{request.Params.Progress, request.Params.Total, request.Params.Message})
		},
		ResourceUpdatedHandler: func(_ context.Context, request *mcp.ResourceUpdatedNotificationRequest) {
			changes.add(request.Params.URI)
		},
		ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) { changes.add("tools") },
	})
	client.AddRoots(&mcp.Root{URI: "file:///tmp/project", Name: "project"})
	wanted := &mcp.ClientSessionOptions{}
	if os.Args[2] == "legacy" {
		wanted.ProtocolVersion = legacy
	}
	transport := &mcp.StreamableClientTransport{
		Endpoint:   os.Args[1],
		HTTPClient: &http.Client{Transport: withToken{}},
	}
	session, err := client.Connect(ctx, transport, wanted)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	found := map[string]any{
		"client":  "go-sdk " + sdkVersion(),
		"version": session.InitializeResult().ProtocolVersion,
	}
	if len(os.Args) > 3 {
		documents(ctx, session, found)
		must(0, session.Close())
	} else {
		repertoire(ctx, client, session)
		step("end the session", func() (any, error) { return "ended", session.Close() })
		found["steps"] = steps
	}
	json.NewEncoder(os.Stdout).Encode(found)
}

func sdkVersion() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/modelcontextprotocol/go-sdk" {
			return module.Version
		}
	}
	return "unknown"
}

func repertoire(ctx context.Context, client *mcp.Client, session *mcp.ClientSession) {
	isModern := session.InitializeResult().ProtocolVersion >= modern
	call := func(tool string, given any) (any, error) {
		if given == nil {
			given = map[string]any{}
		}
		return session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: given})
	}
	text := func(tool string, given any) string {
		result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: given})
		if err != nil {
			return err.Error()
		}
		return result.Content[0].(*mcp.TextContent).Text
	}
	called := func(name, tool string, given any) {
		step(name, func() (any, error) { return call(tool, given) })
	}

	step("server", func() (any, error) {
		result := session.InitializeResult()
		return []any{result.ServerInfo, result.Capabilities}, nil
	})
	step("list tools", func() (any, error) { return every(session.Tools(ctx, nil)) })
	step("list prompts", func() (any, error) { return every(session.Prompts(ctx, nil)) })
	step("list resources", func() (any, error) { return every(session.Resources(ctx, nil)) })
	step("list templates", func() (any, error) { return every(session.ResourceTemplates(ctx, nil)) })
	for _, tool := range []string{"simple_text", "image_content", "audio_content", "embedded_resource", "multiple_content_types"} {
		called("call "+tool, "test_"+tool, nil)
	}
	called("call a tool that fails", "test_error_handling", nil)
	called("refused: call no tool", "no_such_tool", nil)
	for _, region := range []string{"eu-west-1", " a b ", "Zürich ☃", "=?base64?eA==?=", ""} {
		called(fmt.Sprintf("call with the region %q", region), "test_x_mcp_header", map[string]any{"region": region, "level": 1})
	}
	// It sends a URI beyond ASCII as raw bytes in Mcp-Name, which the server refuses, with a gate before it or not.
	for _, place := range []string{"static-text", "static-binary", "template/u 1/data"} {
		step("read "+place, func() (any, error) {
			return session.ReadResource(ctx, &mcp.ReadResourceParams{URI: "test://" + place})
		})
	}
	step("refused: read nothing", func() (any, error) {
		return session.ReadResource(ctx, &mcp.ReadResourceParams{URI: "test://nothing"})
	})
	step("prompt", func() (any, error) {
		return session.GetPrompt(ctx, &mcp.GetPromptParams{Name: "test_simple_prompt"})
	})
	step("prompt with arguments", func() (any, error) {
		words := map[string]string{"arg1": "ä", "arg2": `{"b":[1e3]}`}
		return session.GetPrompt(ctx, &mcp.GetPromptParams{Name: "test_prompt_with_arguments", Arguments: words})
	})
	argument := mcp.CompleteParamsArgument{Name: "arg1", Value: "par"}
	for name, reference := range map[string]mcp.CompleteReference{
		"complete":       {Type: "ref/prompt", Name: "test_prompt_with_arguments"},
		"complete a uri": {Type: "ref/resource", URI: "test://template/{id}/data"},
	} {
		step(name, func() (any, error) {
			return session.Complete(ctx, &mcp.CompleteParams{Ref: &reference, Argument: argument})
		})
	}
	step("progress", func() (any, error) {
		params := &mcp.CallToolParams{Name: "test_tool_with_progress", Arguments: map[string]any{}}
		params.SetProgressToken("steps")
		result, err := session.CallTool(ctx, params)
		return []any{progress.list(), result}, err
	})
	if !isModern {
		step("set the level", func() (any, error) {
			return "set", session.SetLoggingLevel(ctx, &mcp.SetLoggingLevelParams{Level: "debug"})
		})
	}
	step("log", func() (any, error) {
		params := &mcp.CallToolParams{Name: "test_tool_with_logging", Arguments: map[string]any{}}
		if isModern {
			params.Meta = mcp.Meta{mcp.MetaKeyLogLevel: "debug"}
		}
		result, err := session.CallTool(ctx, params)
		return []any{logged.list(), result}, err
	})
	step("cancel", func() (any, error) {
		key := map[string]any{"key": fmt.Sprintf("go-%s-%d", os.Args[2], os.Getpid())}
		leaving, leave := context.WithCancel(ctx)
		left := make(chan bool)
		go func() {
			_, err := session.CallTool(leaving, &mcp.CallToolParams{Name: "slow", Arguments: key})
			left <- err != nil
		}()
		begun := text("has_begun", key)
		leave()
		return []any{begun, <-left, text("was_cancelled", key)}, nil
	})
	called("elicit", "test_elicitation", map[string]any{"message": "Who is there?"})
	called("sample", "test_sampling", map[string]any{"prompt": "What is the answer?"})
	called("roots", "test_input_required_result_list_roots", nil)
	called("elicit twice", "test_input_required_result_multi_round", nil)
	called("ask three things at once", "test_input_required_result_multiple_inputs", nil)
	called("bring a state back", "test_input_required_result_request_state", nil)
	if isModern {
		step("prompt that asks", func() (any, error) {
			return session.GetPrompt(ctx, &mcp.GetPromptParams{Name: "test_input_required_result_prompt"})
		})
	}
	step("subscribe", func() (any, error) {
		// In the modern era this is a stream, which ends with the subscription.
		ended := make(chan error, 1)
		subscribe := func() { ended <- session.Subscribe(ctx, &mcp.SubscribeParams{URI: uri}) }
		if isModern {
			go subscribe()
		} else {
			subscribe()
		}
		found := []bool{}
		for _, wanted := range [][]any{{uri, "touch", map[string]any{"uri": uri}}, {"tools", "test_trigger_tool_change", map[string]any{}}} {
			// What comes by another stream is asked for until that stream is there.
			for tries := 0; tries < 50 && !slices.Contains(changes.list(), wanted[0]); tries++ {
				text(wanted[1].(string), wanted[2])
				time.Sleep(100 * time.Millisecond)
			}
			found = append(found, slices.Contains(changes.list(), wanted[0]))
		}
		return found, session.Unsubscribe(ctx, &mcp.UnsubscribeParams{URI: uri})
	})
	step("roots have changed", func() (any, error) {
		client.AddRoots(&mcp.Root{URI: "file:///tmp/other", Name: "other"})
		return call("test_input_required_result_list_roots", nil)
	})
	if !isModern {
		step("ping", func() (any, error) { return "there", session.Ping(ctx, nil) })
		step("resume", func() (any, error) {
			result, err := call("test_reconnection", nil)
			return []any{result, text("resumed", nil)}, err
		})
	}
}

func every[T any](items func(func(T, error) bool)) (any, error) {
	all := []T{}
	for item, err := range items {
		if err != nil {
			return nil, err
		}
		all = append(all, item)
	}
	return all, nil
}
