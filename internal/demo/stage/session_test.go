package stage

import (
	"testing"

	"github.com/identwatch/identwatch/webhook"
)

// Only who passed is Clear: everything that is not known is no clearance.
func TestVerdict_OnlyWhoPassedIsClear(t *testing.T) {
	t.Parallel()
	check := func(result webhook.CheckResult) *webhook.Check { return &webhook.Check{Result: result} }
	passed, hit, unknown := check(webhook.Clear), check(webhook.Hit), check(webhook.Unknown)
	for name, tt := range map[string]struct {
		event webhook.Event
		want  Verdict
		words string
	}{
		"both clear":     {webhook.Event{Type: webhook.Completed, Data: webhook.Data{PEPs: passed, Sanctions: passed}}, Clear, "identified"},
		"a PEP":          {webhook.Event{Type: webhook.Completed, Data: webhook.Data{PEPs: hit, Sanctions: passed}}, Hit, "identified, PEP"},
		"sanctions":      {webhook.Event{Type: webhook.Completed, Data: webhook.Data{PEPs: unknown, Sanctions: hit}}, Hit, "identified, sanctions"},
		"one is unknown": {webhook.Event{Type: webhook.Completed, Data: webhook.Data{PEPs: passed, Sanctions: unknown}}, NotChecked, "identified, not checked"},
		"unset":          {webhook.Event{Type: webhook.Completed, Data: webhook.Data{PEPs: check(""), Sanctions: passed}}, NotChecked, "identified, not checked"},
		"none":           {webhook.Event{Type: webhook.Completed}, NotChecked, "identified, not checked"},
		"refused":        {webhook.Event{Type: webhook.Refused}, WasRefused, "refused"},
		"expired":        {webhook.Event{Type: webhook.Expired}, HasExpired, "expired"},
		"failed":         {webhook.Event{Type: webhook.Failed, Data: webhook.Data{Error: &webhook.Error{Reason: "no_account"}}}, CouldNotTell, "failed: no_account"},
		"of later":       {webhook.Event{Type: "identification.later"}, CouldNotTell, ""},
	} {
		if got, words := verdict(tt.event), summary(tt.event); got != tt.want || words != tt.words {
			t.Errorf("%s: %s (%q), want %s (%q)", name, got, words, tt.want, tt.words)
		}
	}
}
