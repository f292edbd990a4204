package marksign

import (
	"strings"
	"testing"
)

func TestStatus_IdentifiedKeepsEveryField(t *testing.T) {
	t.Parallel()
	body := strings.Replace(documentedOK, `"code"`, `"control_code": "1234", "added <later>": {"a":  [1, "<\/"]}, "code"`, 1)
	got := statusOf(t, respond(200, body))
	id := got.Identity
	if got.Verdict != Identified || id == nil {
		t.Fatalf("got %v", got)
	}
	if id.Name != "NAME" || id.Surname != "SURNAME" || id.Code != "30303039914" || id.Country != "LT" {
		t.Errorf("got %q %q %q %q", id.Name, id.Surname, id.Code, id.Country)
	}
	if string(id.PEPs) != "[]" || string(id.Sanctions) != "[]" {
		t.Errorf("got peps %s, sanctions %s", id.PEPs, id.Sanctions)
	}
	if !strings.Contains(documentedOK, string(id.Certificate)) || !strings.Contains(string(id.Certificate), `"\/C=LT\/CN`) {
		t.Errorf("the certificate is not as it was sent: %s", id.Certificate)
	}
	want := `{"added \u003clater\u003e":{"a":  [1, "<\/"]},"control_code":"1234","status":"ok"}`
	if string(id.Upstream) != want {
		t.Errorf("got upstream %s, want %s", id.Upstream, want)
	}
}

func TestStatus_ChecksAreKeptAsSent(t *testing.T) {
	t.Parallel()
	for _, sent := range []string{`[]`, `{}`, `null`, `false`, `[{"id":1,"full_name":""}]`, `{"0":{"id":1}}`} {
		id := statusOf(t, respond(200, okBody(`"peps_data":`+sent+`,"sanctions_data":`+sent))).Identity
		if id == nil || string(id.PEPs) != sent || string(id.Sanctions) != sent {
			t.Errorf("%s did not come through as sent", sent)
		}
	}
	id := statusOf(t, respond(200, okBody(`"name":"NAME"`))).Identity
	if id == nil || id.PEPs != nil || id.Sanctions != nil || id.Certificate != nil {
		t.Error("an absent field is not nil")
	}
}

// okBody is an ok answer with fields added. Token and code are its own unless
// there are others among them.
func okBody(more string) string {
	for name, value := range map[string]string{"token": testToken, "code": "30303039914"} {
		if !strings.Contains(more, `"`+name+`":`) {
			more = `"` + name + `":"` + value + `",` + more
		}
	}
	return `{"status":"ok",` + more + `}`
}

func TestStatus_OKThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ body, detail string }{
		"nothing but ok":     {`{"status":"ok"}`, "ok without a token"},
		"other token":        {okBody(`"token":"another"`), "ok for another token"},
		"token's case":       {okBody(`"token":"` + strings.ToUpper(testToken) + `"`), "ok for another token"},
		"null token":         {okBody(`"token":null`), "ok without a token"},
		"empty token":        {okBody(`"token":""`), "ok without a token"},
		"list of tokens":     {okBody(`"token":["` + testToken + `"]`), "ok without a token"},
		"empty code":         {okBody(`"code":""`), "ok without a code"},
		"blank code":         {okBody(`"code":" "`), "ok without a code"},
		"null code":          {okBody(`"code":null`), "ok without a code"},
		"code as object":     {okBody(`"code":{}`), "ok without a code"},
		"code as a float":    {okBody(`"code":3.0303039914e10`), "ok without a code"},
		"code as true":       {okBody(`"code":true`), "ok without a code"},
		"not UTF-8":          {okBody("\"name\":\"\xd6\""), "ok that is not UTF-8"},
		"two codes":          {okBody(`"code":"30303039914","code":"30403039917"`), "ok that contradicts itself"},
		"two tokens":         {okBody(`"token":"another","token":"` + testToken + `"`), "ok that contradicts itself"},
		"two names":          {okBody(`"name":"A","name":"B"`), "ok that contradicts itself"},
		"two statuses":       {okBody(`"status":"waiting","status":"ok"`), "ok that contradicts itself"},
		"broken":             {`{"status":"ok","token":`, "ok in broken JSON"},
		"broken, with space": {" {\n\"status\" : \"ok\"", "ok in broken JSON"},
		"twice":              {`{"status":"ok"}{"status":"ok"}`, "ok in broken JSON"},
		"too large":          {okBody(`"name":"` + strings.Repeat("x", maxBody) + `"`), "answer over 8 MiB"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := statusOf(t, respond(200, tt.body))
			if got.Verdict != Unusable || got.Reason != "unusable_answer" || got.Identity != nil || got.Detail != tt.detail {
				t.Errorf("got %v, want %s", got, tt.detail)
			}
			switch salvaged := got.Salvage; {
			case tt.detail == "answer over 8 MiB" && salvaged != nil:
				t.Error("something was salvaged of what was not read")
			case tt.detail != "answer over 8 MiB" && (salvaged == nil || string(salvaged.Body) != tt.body):
				t.Errorf("%s was not salvaged", tt.body)
			}
		})
	}
}

func TestStatus_SayingTheSameTwiceIsNoContradiction(t *testing.T) {
	t.Parallel()
	body := okBody(`"name":"NAME","name" : "NAME","token":"` + testToken + `","token":"` + testToken + `"`)
	if got := statusOf(t, respond(200, body)); got.Verdict != Identified || got.Identity.Name != "NAME" {
		t.Errorf("got %v", got)
	}
}

func TestStatus_NumbersWhereTextBelongs(t *testing.T) {
	t.Parallel()
	id := statusOf(t, respond(200, okBody(`"code":30303039914,"country":null,"name":7,"surname":["A","B"]`))).Identity
	if id == nil {
		t.Fatal("not identified")
	}
	if id.Code != "30303039914" || id.Name != "7" || id.Surname != "" || id.Country != "" {
		t.Errorf("got %q %q %q %q", id.Code, id.Name, id.Surname, id.Country)
	}
	if want := `{"status":"ok","surname":["A","B"]}`; string(id.Upstream) != want {
		t.Errorf("got upstream %s, want %s", id.Upstream, want)
	}
}

// A check that came twice with different words must never be told as clear, and
// what it said must not be lost.
func TestIdentity_OfACheckThatCameTwiceIsNotClear(t *testing.T) {
	t.Parallel()
	for more, want := range map[string]string{
		`"peps_data":[{"id":1}],"peps_data":[]`:      `[[[{"id":1}]],[[]]]`,
		`"peps_data":[],"peps_data":[{"id":1}]`:      `[[[]],[[{"id":1}]]]`,
		`"peps\u005fdata":{"id":1},"peps_data":null`: `[[{"id":1}],[null]]`,
		`"peps_data":[{"id":1}]`:                     `[{"id":1}]`,
	} {
		id := statusOf(t, respond(200, okBody(more))).Identity
		if id == nil || string(id.PEPs) != want {
			t.Errorf("%s: got %s", more, id.PEPs)
		}
	}
}
