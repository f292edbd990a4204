package webhook

import "time"

// NewTestEvent is an event of type [Test], which tells of no session. It has the shape of a Completed event, so that a
// receiver's whole way can be tried, and nobody can be taken for its person. Neither check is ever clear.
func NewTestEvent(at time.Time) Event {
	return Event{
		Type:      Test,
		Timestamp: at,
		Data: Data{
			Token:     "test-event-of-no-session",
			Reference: "test",
			Method:    "smart_id",
			Person:    &Person{Name: "TEST", Surname: "EVENT", Code: "00000000000", Country: "LT"},
			PEPs:      &Check{},
			Sanctions: &Check{},
		},
	}
}
