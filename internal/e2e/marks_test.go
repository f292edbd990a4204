package e2e

import (
	"encoding/base64"
	"strings"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
)

// The marks are what nobody may see. Each has letters that are written
// differently in different places, and a part that is written the same everywhere.
const (
	markedName     = `Žydrūnė/<MARKNAME7Q>`
	markedSurname  = `O'Marķė "MARKSURNAME8W" & Co`
	markedCode     = `3990101MARKCODE9X`
	markedNumber   = `39901019876` // a code that is a number
	markedRecord   = `Narys <MARKRECORD3Z> Ūsas`
	markedDocument = `LT/MARKDOCUMENT4V`
	markedMessage  = `Naudotoja Žydrūnė MARKMESSAGE5B atsisakė`
	markedKey      = `MARKCALLBACKKEY6K` // in the query of CALLBACK_URL
)

// plainMarks are the parts that are written the same everywhere, however often
// the text around them was encoded.
var plainMarks = []string{
	"MARKNAME7Q", "MARKSURNAME8W", "MARKCODE9X", markedNumber, "MARKRECORD3Z", "MARKDOCUMENT4V", "MARKMESSAGE5B", markedKey,
}

// marked is a person whose data is all marked.
func marked(o marksim.Outcome, after time.Duration) marksim.Person {
	return marksim.Person{
		Name: markedName, Surname: markedSurname, Code: markedCode, Country: "LT", Outcome: o, AfterMin: after,
		PEPs: []marksim.PEPRecord{{ID: 1, FullName: markedRecord, Associates: marksim.Associates{"parent": markedRecord}}},
		Sanctions: []marksim.SanctionRecord{{
			ID: 2, FullName: markedRecord, DocumentNumber: markedDocument, AKA: markedName, NameOfTheList: "Any list",
		}},
	}
}

// secretsSearch looks for the marks and for the secrets of a world.
func (w *world) secretsSearch() *leakSearch {
	w.t.Helper()
	search := newLeakSearch()
	for name, text := range map[string]string{
		"the name": markedName, "the surname": markedSurname, "the code": markedCode, "a record": markedRecord,
		"a document number": markedDocument, "MarkSign's message": markedMessage, "the access token": w.secrets.accessToken,
		"the webhook secret": w.secrets.webhook, "the signing key": w.secrets.signing, "the outcome key": w.secrets.outcome,
		"the task key": w.secrets.task,
	} {
		search.add(name, text)
	}
	for _, mark := range plainMarks {
		search.add(mark, mark)
	}
	for name, text := range map[string]string{
		"the bytes of the webhook secret": strings.TrimPrefix(w.secrets.webhook, "whsec_"),
		// The second half of a signing key is the public key, which is no secret.
		"the bytes of the signing key": strings.TrimPrefix(w.secrets.signing, "whsk_"),
		"the bytes of the outcome key": w.secrets.outcome,
		"the bytes of the task key":    strings.TrimPrefix(w.secrets.task, "task_"),
	} {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			w.t.Fatal(err)
		}
		search.add(name, string(raw[:32]))
	}
	return search
}
