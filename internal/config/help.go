package config

import (
	"slices"
	"strings"
)

// Help returns the settings as text for a terminal: two lines for each, the
// second indented, and a newline at the end. Names are those to tell of; without
// any it tells of all.
func Help(names ...string) string {
	var b strings.Builder
	for _, s := range Settings() {
		if len(names) > 0 && !slices.Contains(names, s.Name) {
			continue
		}
		b.WriteString("  " + s.Name)
		if s.Secret {
			b.WriteString(" or " + s.fileName())
		}
		if notes := s.notes(); len(notes) > 0 {
			b.WriteString(" (" + strings.ReplaceAll(strings.Join(notes, "; "), "`", "") + ")")
		}
		b.WriteString("\n        " + strings.ReplaceAll(s.Help, "`", "") + "\n")
	}
	return b.String()
}

// notes are what is to be said of the value, without what it is for.
func (s Setting) notes() []string {
	var notes []string
	switch s.Required {
	case "":
	case "yes":
		notes = append(notes, "required")
	default:
		notes = append(notes, "required "+s.Required)
	}
	if s.Default != "" {
		notes = append(notes, "default "+s.Default)
	}
	if s.Range != "" {
		notes = append(notes, s.Range)
	}
	if s.OfAccount {
		notes = append(notes, "of each account")
	}
	return notes
}

// Markdown returns the settings as a Markdown table, for the README, with a
// newline at the end.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| variable | default | what it is |\n|---|---|---|\n")
	for _, s := range Settings() {
		name := "`" + s.Name + "`"
		if s.Secret {
			name += " or `" + s.fileName() + "`"
		}
		help := s.Help
		if s.Range != "" {
			help += " (" + s.Range + ")"
		}
		if s.OfAccount {
			help += "; of each account"
		}
		b.WriteString("| " + name + " | " + s.markdownDefault() + " | " + help + " |\n")
	}
	return b.String()
}

// markdownDefault is what the table says of a variable that is not set.
func (s Setting) markdownDefault() string {
	switch {
	case s.Default != "":
		return "`" + s.Default + "`"
	case s.Required == "yes":
		return "required"
	case s.Required != "":
		return "required " + s.Required
	default:
		return "none"
	}
}
