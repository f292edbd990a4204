package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

var update = flag.Bool("update", false, "write docs/openapi.json anew")

// documentFile is the copy that clients can be made from without a service.
var documentFile = filepath.Join("..", "..", "docs", "openapi.json")

func TestDocument_IsTheCommittedOne(t *testing.T) {
	t.Parallel()
	if *update {
		if err := os.WriteFile(documentFile, theDocument().json, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(documentFile)
	if err != nil || !bytes.Equal(committed, theDocument().json) {
		t.Errorf("docs/openapi.json is not what is served (%v): go test ./internal/api -run Document -update", err)
	}
}

func TestDocument_IsValidOpenAPI(t *testing.T) {
	t.Parallel()
	checking.Lock()
	defer checking.Unlock()
	if valid, faults := checker().ValidateDocument(); !valid {
		t.Error(describeFaults(faults))
	}
}

func TestDocument_IsTheSameInYAML(t *testing.T) {
	t.Parallel()
	converted, err := yaml.YAMLToJSON(theDocument().yaml)
	if err != nil {
		t.Fatal(err)
	}
	var fromYAML, fromJSON any
	if err := json.Unmarshal(converted, &fromYAML); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(theDocument().json, &fromJSON); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(fromYAML, fromJSON) {
		t.Errorf("YAML says\n%v\nJSON says\n%v", fromYAML, fromJSON)
	}
}

// openAPI is as much of a document as the tests read.
type openAPI struct {
	OpenAPI    string
	Paths      map[string]map[string]method
	Components struct {
		Schemas         map[string]schema
		SecuritySchemes map[string]struct{ Type, Scheme string }
	}
	Security []map[string][]string
}

type method struct {
	OperationID, Summary, Description string
	RequestBody                       struct {
		Required bool
		Content  map[string]media
	}
	Responses map[string]struct {
		Description string
		Headers     map[string]any
		Content     map[string]media
	}
}

type media struct {
	Schema   schema
	Example  json.RawMessage
	Examples map[string]struct{ Value json.RawMessage }
}

type schema struct {
	Ref                  string `json:"$ref"`
	Type                 any
	Description          string
	Enum                 []any
	Format, Pattern      string
	MinLength, MaxLength int
	Items                *schema
	Properties           map[string]schema
	Required             []string
}

func readDocument(t testing.TB) openAPI {
	t.Helper()
	var d openAPI
	if err := json.Unmarshal(theDocument().json, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// each calls a function for every operation of the document.
func (d openAPI) each(do func(verb, path string, op method)) {
	for path, item := range d.Paths {
		for verb, op := range item {
			do(strings.ToUpper(verb), path, op)
		}
	}
}

func TestDocument_DescribesEverything(t *testing.T) {
	t.Parallel()
	d := readDocument(t)
	if d.OpenAPI != "3.1.0" || len(d.Security) != 1 || d.Components.SecuritySchemes["apiKey"].Scheme != "bearer" {
		t.Errorf("OpenAPI %s, security %v, %v", d.OpenAPI, d.Security, d.Components.SecuritySchemes)
	}
	operations := 0
	d.each(func(verb, path string, op method) {
		operations++
		where := verb + " " + path
		if op.OperationID == "" || op.Summary == "" || op.Description == "" {
			t.Errorf("%s is not described", where)
		}
		for _, m := range op.RequestBody.Content {
			if len(m.Examples) == 0 {
				t.Errorf("%s: the body has no example", where)
			}
		}
		for _, status := range []string{"401", "406", "500", "503"} {
			if op.Responses[status].Description == "" {
				t.Errorf("%s: no response %s", where, status)
			}
		}
		for status, r := range op.Responses {
			for _, m := range r.Content {
				if r.Description == "" || len(m.Example) == 0 {
					t.Errorf("%s: %s has no description or no example", where, status)
				}
			}
		}
	})
	if operations != len(shapes) {
		t.Errorf("%d operations, %d are registered", operations, len(shapes))
	}
	for name, s := range d.Components.Schemas {
		for field, p := range s.Properties {
			if p.Description == "" && p.Ref == "" {
				t.Errorf("%s.%s is not described", name, field)
			}
		}
	}
}

// Every example is sent, or held against the document as an answer.
func TestDocument_ExamplesAreTrue(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	shop := d.as("shop")
	readDocument(t).each(func(verb, path string, op method) {
		for _, m := range op.RequestBody.Content {
			for name, example := range m.Examples {
				if got := shop.do(verb, path, string(example.Value)); got.status >= 300 && got.status != http.StatusConflict {
					t.Errorf("%s %s: the example %s is answered with %d: %s", verb, path, name, got.status, got.body)
				}
			}
		}
		for status, r := range op.Responses {
			for kind, m := range r.Content {
				answer := reply{atoi(t, status), http.Header{"Content-Type": {kind}, "Cache-Control": {"no-store"}}, m.Example, t}
				for header := range r.Headers {
					answer.header.Set(header, "1")
				}
				answer.checkAnswer(requestFor(t, verb, path))
			}
		}
	})
}

func TestDocument_IsServedToEverybody(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	nobody := d.nobody()
	for path, kind := range map[string]string{"/v1/openapi.json": "application/openapi+json", "/v1/openapi.yaml": "application/openapi+yaml"} {
		got := nobody.do(http.MethodGet, path, nil)
		if got.status != http.StatusOK || got.header.Get("Content-Type") != kind || len(got.body) < 1000 {
			t.Errorf("%s: %d, %s, %d bytes", path, got.status, got.header.Get("Content-Type"), len(got.body))
		}
		nobody.do(http.MethodPost, path, nil).problem(http.StatusMethodNotAllowed, "method_not_allowed")
	}
}
