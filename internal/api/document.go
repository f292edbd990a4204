package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// documentVersion is the version of the API, not of the program. It grows with
// what clients can see.
const documentVersion = "1.0.0"

// document is the OpenAPI document in both of its forms.
type document struct{ json, yaml []byte }

// newDocument describes the operations, with schemas made from the Go types of
// their bodies.
func newDocument(operations []operation) (document, error) {
	d := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "identwatch", Version: documentVersion,
			Description: "Follows MarkSign identification sessions: enqueue a session's token, and your webhook gets one signed event.\n\n" +
				"Send an API key with each request. A key belongs to one account, and to another account's sessions the answer is 404. " +
				"Every error is a problem after RFC 9457; branch on its `code`. No error holds a refused value.\n\n" +
				"Every answer may come with properties that are not described here.",
		},
		Servers: []*huma.Server{{URL: "/"}},
		Tags: []*huma.Tag{
			{Name: "sessions", Description: "Identification sessions that the application started at MarkSign."},
			{Name: "events", Description: "What receivers get."},
		},
		Components: &huma.Components{
			Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
			SecuritySchemes: map[string]*huma.SecurityScheme{"apiKey": {
				Type: "http", Scheme: "bearer", BearerFormat: "iwk_...",
				Description: "A key from `identwatch secret api`.",
			}},
		},
		Security: []map[string][]string{{"apiKey": {}}},
	}
	for _, op := range operations {
		described, err := describe(d.Components.Schemas, op)
		if err != nil {
			return document{}, err
		}
		d.AddOperation(described)
	}
	open(d.Components.Schemas)
	return encodeDocument(d)
}

func encodeDocument(d *huma.OpenAPI) (document, error) {
	compact, err := json.Marshal(d)
	if err != nil {
		return document{}, err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, compact, "", "  "); err != nil {
		return document{}, err
	}
	indented.WriteByte('\n')
	yaml, err := d.YAML()
	return document{indented.Bytes(), yaml}, err
}

// open lets answers grow: a client must not break when a field is added.
func open(schemas huma.Registry) {
	for _, t := range []reflect.Type{
		reflect.TypeFor[Problem](), reflect.TypeFor[FieldError](), reflect.TypeFor[SessionStatus](),
		reflect.TypeFor[BatchAnswer](), reflect.TypeFor[BatchResult](), reflect.TypeFor[TestEventAnswer](),
	} {
		schemas.Schema(t, false, "").AdditionalProperties = true
	}
}

// describe completes an operation with its parameters, bodies and responses.
func describe(schemas huma.Registry, op operation) (*huma.Operation, error) {
	look, known := shapes[op.OperationID]
	if !known {
		return nil, fmt.Errorf("api: the bodies of %s are not described", op.OperationID)
	}
	o := op.Operation
	if strings.HasPrefix(o.Path, sessionPath) {
		o.Parameters = []*huma.Param{{
			Name: "token", In: "path", Required: true, Description: "MarkSign's session token.",
			Schema: &huma.Schema{Type: huma.TypeString}, Example: exampleToken,
		}}
	}
	codes := slices.Concat(o.Errors, []int{
		http.StatusUnauthorized, http.StatusNotAcceptable, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusServiceUnavailable,
	})
	if look.request != nil {
		o.RequestBody = &huma.RequestBody{Required: !op.optional, Content: map[string]*huma.MediaType{
			"application/json": {Schema: schemas.Schema(look.request, true, ""), Examples: requestExamples[o.OperationID]},
		}}
		codes = append(codes, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity)
	}
	problem := schemas.Schema(reflect.TypeFor[Problem](), true, "")
	o.Responses = map[string]*huma.Response{
		strconv.Itoa(look.status): successResponse(look, schemas.Schema(look.answer, true, ""), answerExamples[o.OperationID]),
	}
	for _, code := range codes {
		o.Responses[strconv.Itoa(code)] = problemResponse(o.OperationID, code, problem)
	}
	return &o, nil
}

func successResponse(look shape, schema *huma.Schema, example any) *huma.Response {
	r := &huma.Response{
		Description: http.StatusText(look.status),
		Content:     map[string]*huma.MediaType{"application/json": {Schema: schema, Example: example}},
	}
	if look.request != nil && look.status == http.StatusAccepted {
		r.Headers = header("Location", huma.TypeString, "Where the session's status is.")
	}
	return r
}

// problemHeaders are the headers that come with a problem.
var problemHeaders = map[int]map[string]*huma.Param{
	http.StatusUnauthorized:       header("WWW-Authenticate", huma.TypeString, "The scheme: Bearer."),
	http.StatusTooManyRequests:    header("Retry-After", huma.TypeInteger, "Seconds to wait."),
	http.StatusServiceUnavailable: header("Retry-After", huma.TypeInteger, "Seconds to wait."),
}

func header(name, kind, description string) map[string]*huma.Param {
	return map[string]*huma.Param{name: {Description: description, Schema: &huma.Schema{Type: kind}}}
}

func problemResponse(operationID string, code int, schema *huma.Schema) *huma.Response {
	example := exampleProblem(operationID, code)
	return &huma.Response{
		Description: example.Detail,
		Headers:     problemHeaders[code],
		Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: schema, Example: example}},
	}
}

// handlers serve the document and the page, by path.
func (d document) handlers() map[string]http.Handler {
	return map[string]http.Handler{
		"/v1/openapi.json": static("application/openapi+json", d.json),
		"/v1/openapi.yaml": static("application/openapi+yaml", d.yaml),
		"/docs/":           page(),
	}
}

func static(contentType string, text []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(text)
	})
}
