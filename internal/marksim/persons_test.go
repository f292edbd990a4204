package marksim_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/marksim"
)

// Every person of the catalogue, started and followed by the client.
func TestPersons_DoWhatTheyAreScriptedTo(t *testing.T) {
	t.Parallel()
	verdicts := map[marksim.Outcome]marksign.Verdict{
		"":                         marksign.Identified,
		marksim.Refuses:            marksign.Refused,
		marksim.WrongCode:          marksign.Refused,
		marksim.NeverAnswers:       marksign.Expired,
		marksim.Expires:            marksign.Expired,
		marksim.UnknownAccount:     marksign.Failed,
		marksim.NotQualified:       marksign.Failed,
		marksim.DocumentCorrupted:  marksign.Failed,
		marksim.CertificateTimeout: marksign.CertificateTimeout,
		marksim.Canceled:           marksign.Refused,
	}
	for _, p := range marksim.Persons() {
		for segment, method := range map[string]marksign.Method{"smartid": marksign.SmartID, "mobile": marksign.MobileID} {
			t.Run(p.Code+" "+segment, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					phone := p.Phone
					if phone == "" {
						phone = "+37060000000"
					}
					s := marksim.New(marksim.Options{AccessToken: accessToken})
					params := map[string]any{"access_token": accessToken, "code": p.Code, "country": p.Country, "peps": true, "sanctions": true}
					if method == marksign.MobileID {
						delete(params, "country") // which it does not have
						params["phone"] = phone
					}
					body, err := json.Marshal(params)
					if err != nil {
						t.Fatal(err)
					}
					_, answer := call(t, s, "POST", "/"+segment+"/login.json", string(body))
					token, _ := started(t, answer)
					begin, session := time.Now(), marksign.Session{Token: token, Method: method}
					got := follow(t, client(t, s), session)
					took := time.Since(begin)

					if want, ok := verdicts[p.Outcome]; !ok || got.Verdict != want {
						t.Fatalf("got %v, want %v", got, want)
					}
					from, to := p.AfterMin, max(p.AfterMin, p.AfterMax)
					if p.Outcome == marksim.NeverAnswers {
						from, to = 2*time.Minute, 2*time.Minute
					}
					if took < from || took > to+time.Second {
						t.Errorf("took %v, want %v to %v", took, from, to)
					}
					if got.Identity != nil {
						checkIdentity(t, got.Identity, p, method)
					}
					snapshot, _ := s.Session(token)
					if snapshot.FinalSeenAt.Sub(snapshot.FinalAt) >= time.Second || snapshot.FinalPolls != 1 {
						t.Errorf("got %+v", snapshot)
					}
				})
			})
		}
	}
}

func checkIdentity(t *testing.T, id *marksign.Identity, p marksim.Person, method marksign.Method) {
	t.Helper()
	if id.Name != p.Name || id.Surname != p.Surname || id.Code != p.Code || id.Country != p.Country {
		t.Errorf("got %s %s %s %s", id.Name, id.Surname, id.Code, id.Country)
	}
	if got := strings.Contains(string(id.Upstream), "control_code"); got != (method == marksign.MobileID) {
		t.Errorf("got upstream %s with %s", id.Upstream, method)
	}
	for raw, hits := range map[*json.RawMessage]int{&id.PEPs: len(p.PEPs), &id.Sanctions: len(p.Sanctions)} {
		var records []map[string]any
		if err := json.Unmarshal(*raw, &records); err != nil || len(records) != hits {
			t.Errorf("got %s, want %d records", *raw, hits)
		}
	}
	var certificate struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	if err := json.Unmarshal(id.Certificate, &certificate); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(certificate.Name, "/serialNumber=PNO"+p.Country+"-"+p.Code) {
		t.Errorf("got name %s", certificate.Name)
	}
	outer, err := base64.StdEncoding.DecodeString(certificate.Value)
	if err != nil {
		t.Fatal(err)
	}
	der, err := base64.StdEncoding.DecodeString(string(outer))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Subject.CommonName != p.Surname+","+p.Name || parsed.Issuer.CommonName != "TEST of EID-SK 2016" {
		t.Errorf("got certificate of %s by %s", parsed.Subject, parsed.Issuer)
	}
}

// The numbers that upstream.md gives for SK's demo environment.
func TestPersons_HoldTheDemoNumbers(t *testing.T) {
	t.Parallel()
	outcomes := map[string]marksim.Outcome{}
	seen := map[string]bool{}
	for _, p := range marksim.Persons() {
		outcomes[p.Code] = p.Outcome
		if seen[p.Code] || p.Note == "" || p.Name == "" || p.Surname == "" {
			t.Errorf("%s is there twice, or has no name or note", p.Code)
		}
		seen[p.Code] = true
	}
	for code, want := range map[string]marksim.Outcome{
		"30303039914": "", "30403039917": marksim.Refuses, "30403039983": marksim.NeverAnswers,
		"30403039972": marksim.WrongCode, "60001017705": "",
	} {
		if got, ok := outcomes[code]; !ok || got != want {
			t.Errorf("%s: got %q", code, got)
		}
	}
	marksim.Persons()[0].Outcome = marksim.Refuses
	if marksim.Persons()[0].Outcome == marksim.Refuses {
		t.Error("the catalogue can be changed from outside")
	}
}

func TestStart_PhoneOfSomebodyElseHasNoAccount(t *testing.T) {
	t.Parallel()
	s := marksim.New(marksim.Options{})
	_, body := call(t, s, "POST", "/mobile/login.json",
		`{"code":"60001017705","phone":"+37200000000","simulate":{"after_ms":0}}`)
	token, _ := started(t, body)
	got := client(t, s).Status(t.Context(), marksign.Session{Token: token, Method: marksign.MobileID})
	if got.Code != 40401 {
		t.Errorf("got %v", got)
	}
}

func TestStart_ScriptOverrulesThePerson(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := marksim.New(marksim.Options{})
		_, body := call(t, s, "POST", "/smartid/login.json",
			`{"code":"30303039914","country":"LT","simulate":{"after_ms":7500,"outcome":"expires"}}`)
		token, _ := started(t, body)
		if got, _ := s.Session(token); got.Outcome != marksim.Expires || got.FinalAt.Sub(got.StartedAt) != 7500*time.Millisecond {
			t.Errorf("got %+v", got)
		}
		if got := follow(t, client(t, s), smart(token)); got.Code != 40021 {
			t.Errorf("got %v", got)
		}
	})
}

func TestWaitsForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := marksim.New(marksim.Options{})
		s.Add("t", marksim.SmartID, marksim.Person{Outcome: marksim.Waits})
		if got := follow(t, client(t, s), smart("t")); got.Verdict != marksign.Pending {
			t.Errorf("got %v", got)
		}
		if got, _ := s.Session("t"); !got.FinalAt.IsZero() {
			t.Errorf("got %+v", got)
		}
	})
}

// The ok answer is that of the documentation, field for field.
func TestIdentity_FollowsTheDocumentedSample(t *testing.T) {
	t.Parallel()
	s := marksim.New(marksim.Options{})
	s.Add("t", marksim.SmartID, quick)
	_, body := call(t, s, "POST", "/smartid/status/t.json", `{}`)
	want := []string{
		`{"status":"ok","certificate":{"name":"\/C=LT\/CN=PAVARD\u0116,VARDAS\/SN=PAVARD\u0116\/GN=VARDAS\/serialNumber=PNOLT-10101010000",`,
		`"subject":{"country":"LT","organisation":null,"organisation_unit":null,"common_name":"PAVARD\u0116,VARDAS",`,
		`"surname":"PAVARD\u0116","name":"VARDAS","serial_number":"PNOLT-10101010000"},`,
		`"issuer":{"country":"EE","organisation":"AS Sertifitseerimiskeskus","common_name":"TEST of EID-SK 2016"},`,
		`"valid_from":"2025-09-17","valid_to":"2035-09-17","value":"`,
		`"},"code":"10101010000","country":"LT","name":"VARDAS","surname":"PAVARD\u0116","token":"t",`,
		`"sanctions_data":[],"peps_data":[]}`,
	}
	rest := body
	for _, part := range want {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			t.Fatalf("no %s in %s", part, body)
		}
		rest = after
	}
	if rest != "" {
		t.Errorf("more than documented: %s", rest)
	}
}

func TestRecords_HaveTheDocumentedFields(t *testing.T) {
	t.Parallel()
	s := marksim.New(marksim.Options{})
	for _, p := range marksim.Persons() {
		if len(p.PEPs) > 0 && len(p.Sanctions) > 0 {
			p.AfterMin = 0
			s.Add("t", marksim.SmartID, p)
		}
	}
	id := client(t, s).Status(context.Background(), smart("t")).Identity
	if id == nil {
		t.Fatal("nobody of the catalogue has hits of both kinds")
	}
	fields := map[string]string{
		string(id.PEPs): "id reference first_name last_name full_name political_position associates aka date_of_birth " +
			"place_of_birth gender country_of_origin country_of_activity search_created_at date_of_death",
		string(id.Sanctions): "id reference first_name last_name full_name date_of_birth place_of_birth aka gender " +
			"document_number country_of_origin type_sdn_or_entity name_of_the_list date_of_publication " +
			"date_of_publication_of_the_list search_created_at associates image_url date_of_death",
	}
	for raw, names := range fields {
		var records []map[string]json.RawMessage
		if err := json.Unmarshal([]byte(raw), &records); err != nil {
			t.Fatal(err)
		}
		for _, record := range records {
			want := strings.Fields(names)
			if len(record) != len(want) {
				t.Errorf("got %d fields, want %d", len(record), len(want))
			}
			for _, name := range want {
				if _, ok := record[name]; !ok {
					t.Errorf("no %s in %s", name, raw)
				}
			}
		}
	}
	if sent := string(id.Sanctions); !strings.Contains(sent, `"associates":{"`) || !strings.Contains(sent, `"associates":[]`) {
		t.Errorf("associates are not as PHP has them: %s", sent)
	}
}
