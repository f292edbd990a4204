package stage

import (
	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/tasks"
)

// Part is one session to start.
type Part struct {
	Person marksim.Person
	Method tasks.Method
	Checks bool // ask for PEPs and sanctions
	Waits  bool // the person does nothing until told to, whatever the script says
}

func (p Part) note() string {
	if p.Waits {
		return "waits for you"
	}
	return p.Person.Note
}

// cast are codes of the simulator's catalogue: those whose story is told within
// seconds, the most telling first.
var cast = [...]string{
	"20101010001",  // confirms
	"30403039917",  // refuses
	"10101010005",  // confirms: a PEP
	"10101010006",  // confirms: on sanctions lists
	"20101010010",  // lets it expire
	"20101010008",  // has no account
	"30303039914",  // confirms
	"60001017705",  // confirms, by Mobile-ID only
	"20101010007",  // confirms: both a PEP and on sanctions lists
	"010100-00014", // confirms, in Latvia
	"30403039972",  // picks the wrong code
	"20101010009",  // has an account that is not qualified
	"20101010015",  // confirms, in Estonia
	"10101010011",  // cancels
	"20101010012",  // has a corrupted document
	"10101010013",  // has a certificate that cannot be had
}

// Parts are the first n sessions to start. The cast comes again and again, each time by
// the other method.
func Parts(n int) []Part {
	known := map[string]marksim.Person{}
	for _, p := range marksim.Persons() {
		known[p.Code] = p
	}
	methods := [...]tasks.Method{tasks.SmartID, tasks.MobileID}
	list := make([]Part, n)
	for i := range list {
		round, place := i/len(cast), i%len(cast)
		list[i] = Part{Person: known[cast[place]], Method: methods[(place+round)%2], Checks: true}
		if list[i].Person.Phone != "" {
			list[i].Method = tasks.MobileID
		}
	}
	return list
}
