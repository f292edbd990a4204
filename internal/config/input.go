package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

// maxFile is the longest file that NAME_FILE may name, in bytes.
const maxFile = 64 << 10

// input is the environment while a loader reads it: the texts, and the faults
// found so far.
type input struct {
	variables map[string]variable // by the name without an account in front
	faults    *[]Fault            // shared with the input of each account
}

// variable is a setting with its text, which is "" where it is not set, and may
// be blank.
type variable struct {
	Setting
	text string
}

// readEnvironment takes the texts of all variables. It neither parses them nor
// opens a file.
func readEnvironment() *input {
	return &input{variables: readVariables(""), faults: new([]Fault)}
}

// readVariables takes the text of each variable with the prefix in front and an
// underscore, and where there is none, of the variable without.
func readVariables(prefix string) map[string]variable {
	var env environment
	envconfig.MustProcess(prefix, &env) // fails only where a field is no string
	variables := make(map[string]variable)
	for field, value := range reflect.ValueOf(env).Fields() {
		s := newSetting(field.Tag)
		variables[s.Name] = variable{Setting: s, text: value.String()}
	}
	return variables
}

// fault notes that the variable is wrong.
func (in *input) fault(name, problem string) {
	*in.faults = append(*in.faults, Fault{Name: in.fullName(name), Problem: problem})
}

// faulty says whether the variable has a fault.
func (in *input) faulty(name string) bool {
	return slices.ContainsFunc(*in.faults, func(f Fault) bool { return f.Name == in.fullName(name) })
}

// fullName is the variable's name, with an account in front where it is read so.
func (in *input) fullName(name string) string {
	if v, known := in.variables[name]; known {
		return v.Name
	}
	return name // of a file
}

// given says whether the variable or its NAME_FILE is set.
func (in *input) given(name string) bool {
	v := in.variables[name]
	return !isBlank(v.text) || v.Secret && !isBlank(os.Getenv(v.fileName()))
}

// settled returns what a loader read, or all that was wrong with it.
func settled[T any](in *input, settings T, checks ...Check[T]) (T, error) {
	for _, c := range checks {
		in.ask(c.Names, func() error { return c.Find(settings) })
	}
	if len(*in.faults) > 0 {
		var none T
		return none, &Faults{list: *in.faults}
	}
	return settings, nil
}

// text returns what there is to parse of a variable: its value or its default.
// Where there is nothing it returns false, and has noted the fault if it is one.
func (in *input) text(name string) (string, bool) {
	v, known := in.variables[name]
	if !known {
		panic("config: no variable " + name + " in the table")
	}
	if v.Secret {
		content, ok := in.fileText(v)
		if !ok {
			return "", false
		}
		v.text = cmp.Or(content, v.text)
	} else {
		v.text = strings.TrimSpace(v.text)
	}
	switch {
	case !isBlank(v.text):
		return v.text, true
	case v.Default != "":
		return v.Default, true
	case v.Required == "yes":
		in.fault(name, "is required: "+v.Help)
	}
	return "", false
}

// fileText returns what the file holds that NAME_FILE names, "" where NAME_FILE
// is not set, and false with a fault where it cannot stand for the value. The
// fault shows no path: it may be the secret itself, put into the wrong variable.
func (in *input) fileText(v variable) (string, bool) {
	path := os.Getenv(v.fileName())
	if isBlank(path) {
		return "", true
	}
	if !isBlank(v.text) {
		in.fault(v.fileName(), "is set, and "+v.Name+" too: set one of the two")
		return "", false
	}
	content, err := readSecretFile(path)
	if err != nil {
		in.fault(v.fileName(), err.Error())
		return "", false
	}
	return content, true
}

// readSecretFile returns what the file holds without one newline at its end.
// The error continues a sentence that starts with the variable, and shows
// neither path nor content.
func readSecretFile(path string) (string, error) {
	content, err := readUpTo(path, maxFile+1)
	switch {
	case err != nil:
		cause := errors.Unwrap(err) // without the path, which os puts around it
		return "", fmt.Errorf("names a file that cannot be read (%w): correct the path or its permissions", cause)
	case len(content) > maxFile:
		return "", errors.New("names a file of more than 64 KiB: write the path of one that holds the value alone")
	case isBlank(string(content)):
		return "", errors.New("names an empty file: write the value into it")
	}
	text := strings.TrimSuffix(string(content), "\n")
	return strings.TrimSuffix(text, "\r"), nil
}

// readUpTo reads at most limit bytes, for a path may lead to what never ends.
func readUpTo(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the operator says which file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // nothing was written
	return io.ReadAll(io.LimitReader(file, limit))
}

func isBlank(text string) bool { return strings.TrimSpace(text) == "" }
