// Judges of the differential test: encoding/json into a map and into structs,
// and the official SDK's decoder of messages. judge.py says what the frames
// are, reading.rs what a reading is.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

const (
	absent = "!"
	// A decoder into types sees no document.
	unseen = "?"
)

// Go matches the names of these with any case and by Unicode's folds.
type message struct {
	JSONRPC json.RawMessage `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  json.RawMessage `json:"method"`
	Params  json.RawMessage `json:"params"`
}

type params struct {
	Name      json.RawMessage `json:"name"`
	URI       json.RawMessage `json:"uri"`
	TaskID    json.RawMessage `json:"taskId"`
	Arguments json.RawMessage `json:"arguments"`
	Meta      json.RawMessage `json:"_meta"`
}

func canonical(value any, out []byte) []byte {
	switch value := value.(type) {
	case nil:
		return append(out, 'n')
	case bool:
		if value {
			return append(out, 't')
		}
		return append(out, 'f')
	case float64:
		return fmt.Appendf(out, "#%016x", math.Float64bits(value))
	case string:
		return text(value, out)
	case []any:
		out = append(out, '[')
		for _, item := range value {
			out = canonical(item, out)
		}
		return append(out, ']')
	case map[string]any:
		names := make([]string, 0, len(value))
		for name := range value {
			names = append(names, name)
		}
		sort.Strings(names)
		out = append(out, '{')
		for _, name := range names {
			out = canonical(value[name], text(name, out))
		}
		return append(out, '}')
	default:
		panic(fmt.Sprintf("%T", value))
	}
}

func text(value string, out []byte) []byte {
	return append(fmt.Appendf(out, "\"%d:", len(value)), value...)
}

func member(holder map[string]any, name string, out []byte) []byte {
	if value, found := holder[name]; found {
		return canonical(value, out)
	}
	return append(out, absent...)
}

func raw(value json.RawMessage, out []byte) ([]byte, error) {
	if value == nil {
		return append(out, absent...), nil
	}
	var decoded any
	if err := json.Unmarshal(value, &decoded); err != nil {
		return nil, err
	}
	return canonical(decoded, out), nil
}

func fields(holder map[string]any, out []byte) []byte {
	for _, name := range []string{"name", "uri", "taskId", "arguments", "_meta"} {
		out = member(holder, name, out)
	}
	return out
}

func asMap(body []byte) ([]byte, error) {
	var document any
	if err := json.Unmarshal(body, &document); err != nil {
		return nil, err
	}
	count := 0
	whole, isObject := document.(map[string]any)
	if isObject {
		count = 1
	}
	if items, isArray := document.([]any); isArray {
		count = len(items)
	}
	within, _ := whole["params"].(map[string]any)
	out := fmt.Appendf(nil, "%d", count)
	out = member(whole, "id", member(whole, "method", out))
	return canonical(document, fields(within, out)), nil
}

func asStruct(body []byte) ([]byte, error) {
	var whole message
	if err := json.Unmarshal(body, &whole); err != nil {
		return nil, err
	}
	var within params
	if len(whole.Params) > 0 && whole.Params[0] == '{' {
		if err := json.Unmarshal(whole.Params, &within); err != nil {
			return nil, err
		}
	}
	out := []byte("1")
	for _, value := range []json.RawMessage{
		whole.Method, whole.ID, within.Name, within.URI, within.TaskID, within.Arguments, within.Meta,
	} {
		var err error
		if out, err = raw(value, out); err != nil {
			return nil, err
		}
	}
	return append(out, unseen...), nil
}

func asMessage(body []byte) ([]byte, error) {
	decoded, err := jsonrpc.DecodeMessage(body)
	if err != nil {
		return nil, err
	}
	out := []byte("1")
	within := map[string]any{}
	var id jsonrpc.ID
	switch decoded := decoded.(type) {
	case *jsonrpc.Request:
		out = text(decoded.Method, out)
		id = decoded.ID
		if len(decoded.Params) > 0 && decoded.Params[0] == '{' {
			if err := json.Unmarshal(decoded.Params, &within); err != nil {
				return nil, err
			}
		}
	case *jsonrpc.Response:
		out = append(out, absent...)
		id = decoded.ID
	}
	switch id := id.Raw().(type) {
	case nil:
		out = append(out, absent...)
	case int64:
		out = canonical(float64(id), out)
	default:
		out = canonical(id, out)
	}
	return append(fields(within, out), unseen...), nil
}

func answer(read func([]byte) ([]byte, error), body []byte, wanted bool) (out []byte) {
	defer func() {
		if problem := recover(); problem != nil {
			out = fmt.Appendf(nil, "-panic: %v", problem)
		}
	}()
	reading, err := read(body)
	switch {
	case err != nil:
		return fmt.Appendf(nil, "-%.200s", err.Error())
	case wanted:
		return append([]byte("+"), reading...)
	default:
		return []byte("+")
	}
}

func frame(content, out []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(out, uint32(len(content))), content...)
}

func sdkVersion() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if strings.HasSuffix(module.Path, "/go-sdk") {
			return module.Version
		}
	}
	return "of no version"
}

func main() {
	readers := []func([]byte) ([]byte, error){asMap, asStruct, asMessage}
	version := strings.TrimPrefix(runtime.Version(), "go")
	names := fmt.Sprintf("Go %s encoding/json, map\nGo %s encoding/json, structs\nGo SDK %s",
		version, version, sdkVersion())
	source := bufio.NewReaderSize(os.Stdin, 1<<16)
	if _, err := os.Stdout.Write(frame([]byte(names), nil)); err != nil {
		os.Exit(1)
	}
	var head [4]byte
	for {
		if _, err := io.ReadFull(source, head[:]); err != nil {
			return
		}
		batch := make([]byte, binary.LittleEndian.Uint32(head[:]))
		if _, err := io.ReadFull(source, batch); err != nil {
			os.Exit(1)
		}
		var out []byte
		for place := uint32(0); place < uint32(len(batch)); {
			end := place + 4 + binary.LittleEndian.Uint32(batch[place:])
			for _, read := range readers {
				out = frame(answer(read, batch[place+5:end], batch[place+4] == 1), out)
			}
			place = end
		}
		if _, err := os.Stdout.Write(frame(out, nil)); err != nil {
			os.Exit(1)
		}
	}
}
