package desk

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"

	"github.com/identwatch/identwatch/internal/demo/stage"
	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/tasks"
)

// problem is an error as RFC 9457 has it.
type problem struct {
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail"`
	Errors []fault `json:"errors,omitempty"`
}

// fault is one field's.
type fault struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

func refuse(w http.ResponseWriter, status int, detail string, faults ...fault) {
	answer(w, status, "application/problem+json", problem{http.StatusText(status), status, detail, faults})
}

func answer(w http.ResponseWriter, status int, kind string, value any) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) //nolint:errchkjson // it can be JSON; who does not take it is gone
}

// maxRequest is the most that an action may say, in bytes.
const maxRequest = 4 << 10

// read reads an action's JSON, and says itself what is wrong with it.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		refuse(w, http.StatusUnsupportedMediaType, "send JSON, with Content-Type: application/json")
		return false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "send no more than 4 KiB")
		return false
	}
	err = json.Unmarshal(body, into)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		refuse(w, http.StatusUnprocessableEntity, "a field is of the wrong type", fault{wrong.Field, "is to be a " + wrong.Type.String()})
		return false
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "the body is not a JSON object")
		return false
	}
	return true
}

// order is a session to start.
type order struct {
	Person string       `json:"person"` // the personal code of one of the catalogue
	Method tasks.Method `json:"method"`
	Checks bool         `json:"checks"`
	Waits  bool         `json:"waits"` // for the page to decide
}

// part finds what is ordered, and all that is wrong with it.
func (o order) part() (stage.Part, []fault) {
	var faults []fault
	persons := marksim.Persons()
	i := slices.IndexFunc(persons, func(p marksim.Person) bool { return p.Code == o.Person })
	if i < 0 {
		faults = append(faults, fault{"person", "is not in the catalogue"})
	}
	if o.Method != tasks.SmartID && o.Method != tasks.MobileID {
		faults = append(faults, fault{"method", "is neither smart_id nor mobile_id"})
	}
	if len(faults) > 0 {
		return stage.Part{}, faults
	}
	return stage.Part{Person: persons[i], Method: o.Method, Checks: o.Checks, Waits: o.Waits}, nil
}

func (d *desk) startSession(w http.ResponseWriter, r *http.Request) {
	var o order
	if !read(w, r, &o) {
		return
	}
	part, faults := o.part()
	if len(faults) > 0 {
		refuse(w, http.StatusUnprocessableEntity, "the session cannot be started", faults...)
		return
	}
	session, err := d.stage.Start(r.Context(), part)
	switch {
	case errors.Is(err, stage.ErrFull):
		refuse(w, http.StatusTooManyRequests, err.Error())
	case err != nil:
		refuse(w, http.StatusBadGateway, "the session could not be started, or not be enqueued: try again")
	default:
		answer(w, http.StatusCreated, "application/json", session)
	}
}

func (d *desk) decide(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Decision stage.Decision `json:"decision"`
	}
	if !read(w, r, &body) {
		return
	}
	if !body.Decision.Valid() {
		refuse(w, http.StatusUnprocessableEntity, "nothing was decided", fault{"decision", "is neither confirm, refuse nor walk_away"})
		return
	}
	if err := d.stage.Decide(r.PathValue("token"), body.Decision); err != nil {
		refuse(w, http.StatusConflict, err.Error())
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (d *desk) postNow(w http.ResponseWriter, r *http.Request) {
	if !read(w, r, &struct{}{}) {
		return
	}
	switch err := d.stage.PostNow(r.Context(), r.PathValue("token")); {
	case errors.Is(err, stage.ErrNoAttempt):
		refuse(w, http.StatusConflict, err.Error())
	case err != nil:
		refuse(w, http.StatusBadGateway, "Redis could not be asked: try again")
	default:
		w.WriteHeader(http.StatusAccepted)
	}
}

func (d *desk) changeConditions(w http.ResponseWriter, r *http.Request) {
	var body struct {
		MarkSign string `json:"marksign"`
		Receiver string `json:"receiver"`
	}
	if !read(w, r, &body) {
		return
	}
	if field, ok := d.setConditions(body.MarkSign, body.Receiver); !ok {
		refuse(w, http.StatusUnprocessableEntity, "nothing was changed", fault{field, "is not one of its conditions"})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
