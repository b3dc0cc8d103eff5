// Judges of the differential test: encoding/json into a map and into structs,
// and the official SDK's decoder of messages. judge.py says what the frames
// are, reading.rs what a reading is.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

const (
	absent = "!"
	// A decoder into types sees no document.
	unseen = "?"
)

var paths = [][]string{
	{"", "method"},
	{"", "id"},
	{"", "params", "name"},
	{"", "params", "uri"},
	{"", "params", "taskId"},
	{"", "params", "arguments"},
	{"", "params", "_meta"},
	{"", "params", "cursor"},
	{"", "params", "requestState"},
	{"", "params", "inputResponses"},
	{"", "params", "task"},
	{"", "params", "_meta", "io.modelcontextprotocol/protocolVersion"},
	{"", "params", "_meta", "io.modelcontextprotocol/clientCapabilities"},
	{"completion/complete", "params", "ref", "type"},
	{"completion/complete", "params", "ref", "name"},
	{"completion/complete", "params", "ref", "uri"},
	{"subscriptions/listen", "params", "notifications", "resourceSubscriptions"},
	{"subscriptions/listen", "params", "notifications", "taskIds"},
}

// Go matches the names of these with any case and by Unicode's folds.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method json.RawMessage `json:"method"`
	Params json.RawMessage `json:"params"`
}

type params struct {
	Name           json.RawMessage `json:"name"`
	URI            json.RawMessage `json:"uri"`
	TaskID         json.RawMessage `json:"taskId"`
	Arguments      json.RawMessage `json:"arguments"`
	Meta           json.RawMessage `json:"_meta"`
	Cursor         json.RawMessage `json:"cursor"`
	RequestState   json.RawMessage `json:"requestState"`
	InputResponses json.RawMessage `json:"inputResponses"`
	Task           json.RawMessage `json:"task"`
	Ref            json.RawMessage `json:"ref"`
	Notifications  json.RawMessage `json:"notifications"`
}

type meta struct {
	Version      json.RawMessage `json:"io.modelcontextprotocol/protocolVersion"`
	Capabilities json.RawMessage `json:"io.modelcontextprotocol/clientCapabilities"`
}

type ref struct {
	Type json.RawMessage `json:"type"`
	Name json.RawMessage `json:"name"`
	URI  json.RawMessage `json:"uri"`
}

type notifications struct {
	Resources json.RawMessage `json:"resourceSubscriptions"`
	Tasks     json.RawMessage `json:"taskIds"`
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
		var bits [8]byte
		binary.BigEndian.PutUint64(bits[:], math.Float64bits(value))
		return hex.AppendEncode(append(out, '#'), bits[:])
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
	out = strconv.AppendInt(append(out, '"'), int64(len(value)), 10)
	return append(append(out, ':'), value...)
}

// view is what the paths lead to.
func view(document any, out []byte) []byte {
	whole, _ := document.(map[string]any)
	for _, path := range paths {
		found, isThere := document, path[0] == "" || whole["method"] == path[0]
		for _, name := range path[1:] {
			holder, _ := found.(map[string]any)
			if found, isThere = holder[name], isThere && has(holder, name); !isThere {
				break
			}
		}
		if isThere {
			out = canonical(found, out)
		} else {
			out = append(out, absent...)
		}
	}
	return out
}

func has(holder map[string]any, name string) bool {
	_, found := holder[name]
	return found
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

// object decodes into a struct what is an object.
func object(value json.RawMessage, into any) error {
	if len(value) == 0 || value[0] != '{' {
		return nil
	}
	return json.Unmarshal(value, into)
}

func asMap(body []byte) ([]byte, error) {
	var document any
	if err := json.Unmarshal(body, &document); err != nil {
		return nil, err
	}
	count := 0
	switch document := document.(type) {
	case map[string]any:
		count = 1
	case []any:
		count = len(document)
	}
	return canonical(document, view(document, fmt.Appendf(nil, "%d", count))), nil
}

func asStruct(body []byte) ([]byte, error) {
	var whole message
	if err := json.Unmarshal(body, &whole); err != nil {
		return nil, err
	}
	var within params
	var about meta
	var subject ref
	var wanted notifications
	err := object(whole.Params, &within)
	err = errors.Join(err, object(within.Meta, &about))
	var method any
	if whole.Method != nil {
		err = errors.Join(err, json.Unmarshal(whole.Method, &method))
	}
	switch method {
	case "completion/complete":
		err = errors.Join(err, object(within.Ref, &subject))
	case "subscriptions/listen":
		err = errors.Join(err, object(within.Notifications, &wanted))
	}
	if err != nil {
		return nil, err
	}
	out := []byte("1")
	for _, value := range []json.RawMessage{
		whole.Method, whole.ID, within.Name, within.URI, within.TaskID, within.Arguments, within.Meta, within.Cursor,
		within.RequestState, within.InputResponses, within.Task, about.Version, about.Capabilities, subject.Type,
		subject.Name, subject.URI, wanted.Resources, wanted.Tasks,
	} {
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
	document := map[string]any{}
	var id jsonrpc.ID
	switch decoded := decoded.(type) {
	case *jsonrpc.Request:
		id = decoded.ID
		document["method"] = decoded.Method
		var params any
		if err := object(decoded.Params, &params); err != nil {
			return nil, err
		}
		document["params"] = params
	case *jsonrpc.Response:
		id = decoded.ID
	}
	switch id := id.Raw().(type) {
	case nil:
	case int64:
		document["id"] = float64(id)
	default:
		document["id"] = id
	}
	return append(view(document, []byte("1")), unseen...), nil
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
