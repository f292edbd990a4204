package webhook

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestNewCheck(t *testing.T) {
	t.Parallel()
	const (
		never   = Unknown // whether asked or not
		deepest = 10_000  // levels that encoding/json reads
	)
	tests := []struct {
		name, sent string
		asked      CheckResult // the result where the check was asked for; otherwise clear becomes unknown
		records    []string
	}{
		{"empty list", `[]`, Clear, nil},
		{"empty map", `{}`, Clear, nil},
		{"empty list in white space", " \r\n\t[ \n ] \t", Clear, nil},
		{"empty map in white space", "\n{ \r }\n", Clear, nil},

		{"absent", ``, never, nil},
		{"white space only", " \n", never, nil},
		{"null", `null`, never, nil},
		{"false", `false`, never, nil},
		{"true", `true`, never, nil},
		{"zero", `0`, never, nil},
		{"empty string", `""`, never, nil},
		{"a list in a string", `"[]"`, never, nil},
		{"null in a list", `[null]`, never, nil},
		{"number in a list", `[1]`, never, nil},
		{"strings in a list", `["NAME SURNAME", ""]`, never, nil},
		{"empty list in a list", `[[]]`, never, nil},
		{"list of lists of objects", `[[{"id":1}]]`, never, nil},

		{"cut list", `[`, never, nil},
		{"cut map", `{`, never, nil},
		{"cut record", `[{"id":1}`, never, nil},
		{"trailing comma", `[{"id":1},]`, never, nil},
		{"two values", `[] []`, never, nil},
		{"text after", `[]x`, never, nil},
		{"byte order mark", "\ufeff[]", never, nil},
		{"vertical tab is no white space", "\v[]", never, nil},
		{"no-break space is no white space", "\u00a0[]", never, nil},
		{"HTML", `<html></html>`, never, nil},
		{"too deep", strings.Repeat("[", deepest+1) + strings.Repeat("]", deepest+1), never, nil},

		{"one record", `[{"id":1}]`, Hit, []string{`{"id":1}`}},
		{"records unchanged", ` [ { "b": 1.0, "a": "\u0105\/" } , {"id":2}]`, Hit, []string{`{ "b": 1.0, "a": "\u0105\/" }`, `{"id":2}`}},
		{"one object among others", `[null,{"id":1},"x"]`, Hit, []string{`null`, `{"id":1}`, `"x"`}},
		{"empty object in a list", `[{}]`, Hit, []string{`{}`}},
		{"deep record", `[{"a":` + strings.Repeat("[", 900) + strings.Repeat("]", 900) + `}]`, Hit, []string{`{"a":` + strings.Repeat("[", 900) + strings.Repeat("]", 900) + `}`}},

		{"map of records in the order sent", `{"1":{"id":1},"0":{"id":0}}`, Hit, []string{`{"id":1}`, `{"id":0}`}},
		{"map with a repeated key", `{"0":{"id":1},"0":{"id":2}}`, Hit, []string{`{"id":1}`, `{"id":2}`}},
		{"a record itself", ` {"id":1,"associates":{"parent":"x"}} `, Hit, []string{`{"id":1,"associates":{"parent":"x"}}`}},
		{"a map with a null", `{"0":null}`, Hit, []string{`{"0":null}`}},
		{"a map with an empty list", `{"0":[]}`, Hit, []string{`{"0":[]}`}},
		{"a map of a record and a null", `{"0":{"id":1},"1":null}`, Hit, []string{`{"0":{"id":1},"1":null}`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			unasked := tt.asked
			if unasked == Clear {
				unasked = Unknown
			}
			for asked, want := range map[bool]CheckResult{true: tt.asked, false: unasked} {
				got := NewCheck(json.RawMessage(tt.sent), asked)
				var records []string
				for _, r := range got.Records {
					records = append(records, string(r))
				}
				if got.Result != want || !slices.Equal(records, tt.records) {
					t.Errorf("asked %t: result %s, records %q; want %s, %q", asked, got.Result, records, want, tt.records)
				}
				if got.Records == nil {
					t.Errorf("asked %t: Records is nil, want an empty list", asked)
				}
			}
		})
	}
}

func TestNewCheck_NilIsUnknown(t *testing.T) {
	t.Parallel()
	if got := NewCheck(nil, true); got.Result != Unknown {
		t.Errorf("NewCheck(nil, true) is %s, want unknown", got.Result)
	}
}

func TestCheck_ZeroValueIsUnknownInJSON(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(Check{})
	if err != nil || string(got) != `{"result":"unknown","records":[]}` {
		t.Errorf("json.Marshal(Check{}) = %s, %v", got, err)
	}
}
