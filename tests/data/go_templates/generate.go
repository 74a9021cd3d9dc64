// Generate fills in what Go's text/template makes of each row of cases.jsonl.
//
//	cd tests/data/go_templates && go run generate.go
//
// A row is {"template", "data"}, where data.json stands in for data left out; this program adds "want" (the output)
// or "error". Numbers of the data that are written without a point or exponent become int, the others float64.
// Output that is not UTF-8 stands under "want_base64".
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"
	"unicode/utf8"
)

type row struct {
	Template string          `json:"template"`
	Data     json.RawMessage `json:"data,omitempty"`
	Want     *string         `json:"want,omitempty"`
	Base64   string          `json:"want_base64,omitempty"`
	Error    string          `json:"error,omitempty"`
}

func main() {
	input, err := os.ReadFile("cases.jsonl")
	check(err)
	common, err := os.ReadFile("data.json")
	check(err)
	var output bytes.Buffer
	encoder := json.NewEncoder(&output)
	encoder.SetEscapeHTML(false)
	scanner := bufio.NewScanner(bytes.NewReader(input))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var r row
		check(json.Unmarshal(scanner.Bytes(), &r))
		r.Want, r.Base64, r.Error = nil, "", ""
		data := r.Data
		if len(data) == 0 {
			data = common
		}
		text, err := run(r.Template, data)
		switch {
		case err != nil:
			r.Error = err.Error()
		case utf8.ValidString(text):
			r.Want = &text
		default:
			r.Base64 = base64.StdEncoding.EncodeToString([]byte(text))
		}
		check(encoder.Encode(r))
	}
	check(scanner.Err())
	check(os.WriteFile("cases.jsonl", output.Bytes(), 0o644))
}

func run(source string, data json.RawMessage) (string, error) {
	t, err := template.New("t").Option("missingkey=zero").Parse(source)
	if err != nil {
		return "", err
	}
	var value any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	check(decoder.Decode(&value))
	var out strings.Builder
	if err := t.Execute(&out, plain(value)); err != nil {
		return "", err
	}
	return out.String(), nil
}

func plain(value any) any {
	switch v := value.(type) {
	case json.Number:
		if !strings.ContainsAny(v.String(), ".eE") {
			n, err := v.Int64()
			check(err)
			return int(n)
		}
		f, err := v.Float64()
		check(err)
		return f
	case []any:
		for i, item := range v {
			v[i] = plain(item)
		}
	case map[string]any:
		for key, item := range v {
			v[key] = plain(item)
		}
	}
	return value
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
