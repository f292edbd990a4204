package marksign

import (
	"testing"
	"time"
)

func TestRemove_Answers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status  int
		body    string
		verdict RemoveVerdict
	}{
		"ok":                    {200, `{"status":"ok"}`, Removed},
		"ok in a 500":           {500, `{"status":"ok"}`, Removed},
		"documented error":      {200, `{"status":"error","message":"Request number is invalid"}`, RemoveRefused},
		"in another language":   {200, `{"status":"error","message":"Neteisingas numeris"}`, RemoveRefused},
		"in a 404":              {404, `{"status":"error","message":"Request number is invalid"}`, RemoveRefused},
		"in a 500":              {500, `{"status":"error"}`, RemoveRefused},
		"no session":            {200, errorBody(40402), RemoveRefused},
		"unknown code":          {200, errorBody(40999), RemoveRefused},
		"access token rejected": {200, errorBody(40003), RemoveRejected},
		"technical trouble":     {200, errorBody(50001), RemoveTemporary},
		"unknown status":        {200, `{"status":"waiting"}`, RemoveTemporary},
		"no status":             {200, `{}`, RemoveTemporary},
		"empty":                 {204, ``, RemoveTemporary},
		"page":                  {200, `<html>`, RemoveTemporary},
		"not authorised":        {401, ``, RemoveRejected},
		"forbidden":             {403, ``, RemoveRejected},
		"not found":             {404, ``, RemoveTemporary},
		"too many":              {429, ``, RemoveTemporary},
		"unavailable":           {503, ``, RemoveTemporary},
		"redirect":              {302, ``, RemoveTemporary},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := removeOf(t, respond(tt.status, tt.body, "Retry-After", "5"))
			if got.Verdict != tt.verdict || got.RetryAfter != 5*time.Second {
				t.Errorf("got %+v, want %v", got, tt.verdict)
			}
			if (got.Detail == "") != (tt.verdict == Removed) {
				t.Errorf("got detail %q with %v", got.Detail, got.Verdict)
			}
		})
	}
}
