package config

import (
	"os"
	"slices"
	"strings"
)

// Unknown is a variable of the environment that looks like a setting and is none.
type Unknown struct {
	// Name is the variable.
	Name string
	// Meant is the setting with the nearest name, or "" if none is near.
	Meant string
}

// prefixes are those of our variables that other programs hardly use.
var prefixes = []string{
	"MARKSIGN_", "CALLBACK_", "WEBHOOK_", "OUTCOME_", "TASK_KEY", "MONITOR_", "POLL_", "FOLLOW_", "DELIVERY_", "REDELIVERY_",
}

// FindUnknown returns what is set under a name that is almost a setting's, or starts as only ours do, sorted by name. It
// looks at names alone, and returns no value; as everywhere, blank is not set. Nothing is refused for it, because the environment holds variables of other
// programs too, and an orchestrator adds some that nobody chose: a Service named webhook makes WEBHOOK_PORT.
func FindUnknown() []Unknown {
	known := knownNames()
	var found []Unknown
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		if isBlank(value) || slices.Contains(known, name) || fromOrchestrator(name) {
			continue
		}
		meant := nearest(name, known)
		if ours := startsAsOurs(name); ours || meant != "" && !isSet(meant) {
			found = append(found, Unknown{Name: name, Meant: meant})
		}
	}
	slices.SortFunc(found, func(a, b Unknown) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// knownNames are all that a command reads: settings, those of each account, and what names a secret's file.
func knownNames() []string {
	accounts, err := parseAccounts(os.Getenv("ACCOUNTS"))
	if err != nil {
		accounts = nil // the loaders say so
	}
	var known []string
	for _, s := range Settings() {
		names := []string{s.Name}
		if s.OfAccount {
			for _, account := range accounts {
				names = append(names, prefix(account)+"_"+s.Name)
			}
		}
		for _, name := range names {
			known = append(known, name)
			if s.Secret {
				known = append(known, name+"_FILE")
			}
		}
	}
	return known
}

func startsAsOurs(name string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// fromOrchestrator reports what Kubernetes and Docker links set for a service: NAME_SERVICE_HOST, NAME_PORT,
// NAME_PORT_8080_TCP_ADDR and the like.
func fromOrchestrator(name string) bool {
	return strings.Contains(name, "_SERVICE_") || strings.HasSuffix(name, "_PORT") || strings.Contains(name, "_PORT_")
}

func isSet(name string) bool {
	return !isBlank(os.Getenv(name)) || !isBlank(os.Getenv(name+"_FILE")) || !isBlank(os.Getenv(strings.TrimSuffix(name, "_FILE")))
}

// nearest returns the known name that the fewest slips make of the name, or "" if that takes more than one in a short
// name, or two in a long one.
func nearest(name string, known []string) string {
	best, least := "", 3
	for _, candidate := range known {
		allowed := 2
		if len(candidate) < 8 {
			allowed = 1
		}
		if slips := slipsBetween(name, candidate); slips <= allowed && slips < least {
			best, least = candidate, slips
		}
	}
	return best
}

// slipsBetween counts the letters that are missing, too many, wrong or swapped with the next (the optimal string alignment
// distance).
func slipsBetween(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+change)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
