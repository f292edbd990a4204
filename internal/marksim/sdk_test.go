package marksim_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/internal/marksim"
)

// sdkRequest is a request as MarkSign's public PHP client sends it, byte for byte: Symfony's HTTP client without curl,
// one connection each, with the token of a session in the body too.
func sdkRequest(method, path, body string) string {
	return method + " " + path + " HTTP/1.1\r\n" +
		"Connection: close\r\n" +
		"Content-Type: application/json\r\n" +
		"Accept: */*\r\n" +
		"Content-Length: " + strconv.Itoa(len(body)) + "\r\n" +
		"Accept-Encoding: gzip\r\n" +
		"User-Agent: Symfony HttpClient/Native\r\n" +
		"Host: api.marksign.eu\r\n\r\n" + body
}

// sdkReads sends a request and takes the answer as that client does: it is an error unless the status is 200, and is
// read only if the Content-Type is exactly application/json. It returns the fields in their order, and their values.
func sdkReads(t *testing.T, address, request string) (names []string, values map[string]json.RawMessage) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if types := res.Header.Values("Content-Type"); res.StatusCode != http.StatusOK || len(types) != 1 || types[0] != "application/json" {
		t.Fatalf("HTTP %d, %v, %s", res.StatusCode, types, body)
	}
	if res.Header.Get("Content-Encoding") != "" {
		t.Errorf("encoded as %s", res.Header.Get("Content-Encoding"))
	}
	if err := json.Unmarshal(body, &values); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	dec := json.NewDecoder(strings.NewReader(string(body)))
	_, _ = dec.Token()
	for dec.More() {
		name, _ := dec.Token()
		names = append(names, name.(string))
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return names, values
}

// MarkSign's own PHP client goes through start, status and remove, with both methods and in both locales.
func TestSDK_GoesThroughStartStatusAndRemove(t *testing.T) {
	t.Parallel()
	rows := map[string]struct{ start, startFields, okFields, code string }{
		"smartid": {
			`{"access_token":"any","code":"20101010001","country":"LT","message":"Sveiki","peps":true,"sanctions":true}`,
			"status token control_code",
			"status certificate code country name surname token sanctions_data peps_data",
			`"20101010001"`,
		},
		"mobile": {
			`{"access_token":"any","phone":"+37269000366","code":"60001017705","language":"LIT","message":"Sveiki","message_format":"GSM-7","peps":true,"sanctions":true}`,
			"status certificate code token control_code",
			"status certificate code country name surname token control_code sanctions_data peps_data",
			`"60001017705"`,
		},
	}
	for segment, row := range rows {
		for _, locale := range []string{"", "/en"} {
			t.Run(segment+locale, func(t *testing.T) {
				t.Parallel()
				s := marksim.New(marksim.Options{AccessToken: "any"})
				server := httptest.NewServer(s)
				t.Cleanup(server.Close)
				reads := func(method, path, body string) ([]string, map[string]json.RawMessage) {
					return sdkReads(t, server.Listener.Addr().String(), sdkRequest(method, locale+path, body))
				}

				names, started := reads("POST", "/"+segment+"/login.json", row.start)
				if got := strings.Join(names, " "); got != row.startFields {
					t.Errorf("start answers %s", got)
				}
				if segment == "mobile" && (string(started["code"]) != row.code || !strings.Contains(string(started["certificate"]), `"serial_number":"PNOEE-60001017705"`)) {
					t.Errorf("start answers code %s, certificate %s", started["code"], started["certificate"])
				}
				var token string
				if err := json.Unmarshal(started["token"], &token); err != nil {
					t.Fatal(err)
				}
				status := "/" + segment + "/status/" + token + ".json"
				asked := `{"access_token":"any","token":"` + token + `"}`
				if names, pending := reads("POST", status, asked); !slices.Equal(names, []string{"status"}) || string(pending["status"]) != `"waiting"` {
					t.Errorf("pending is %s", pending)
				}
				if !s.Confirm(token) {
					t.Fatal("the person could not confirm")
				}
				names, ok := reads("POST", status, asked)
				if got := strings.Join(names, " "); got != row.okFields || string(ok["code"]) != row.code {
					t.Errorf("ok is %s, code %s", got, ok["code"])
				}
				if names, removed := reads("DELETE", "/api/"+segment+"/session/"+token, `{"access_token":"any","sessionId":"`+token+`"}`); !slices.Equal(names, []string{"status"}) || string(removed["status"]) != `"ok"` {
					t.Errorf("remove answers %s", removed)
				}
				names, gone := reads("POST", status, asked)
				if got := strings.Join(names, " "); got != "status message error_code" || string(gone["error_code"]) != "40402" {
					t.Errorf("a removed session answers %s %s", got, gone)
				}
				if seen, _ := s.Session(token); seen.RemovedAt.IsZero() {
					t.Errorf("got %+v", seen)
				}
			})
		}
	}
}
