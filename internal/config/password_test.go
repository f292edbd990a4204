package config

import (
	"crypto/rand"
	"testing"
)

func TestMonitorPassword_HasToBeHardToGuess(t *testing.T) {
	t.Parallel()
	for _, weak := range []string{
		"short", "password1234", "PasswordPassword1", "123456789012", "012345678901234567890", "aaaaaaaaaaaaaaaa", "abcdefghijkl", "qwertyuiop12",
		"identwatch-monitor", "operator12345", "abababababababab", "111122223333", "administrator!", "202420252026",
	} {
		if _, err := checkPassword(weak); err == nil {
			t.Errorf("%s is taken", weak)
		}
	}
	for _, good := range []string{
		"correct horse battery", "4f1c-9d27-b3e8-60a5", "ąčęėįšųūž12x8", "pass word č:12", " of 12 characters ", "hk3v9wq2mzt7", "8302749165038271946",
	} {
		if _, err := checkPassword(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for range 1000 {
		made := rand.Text()
		if _, err := checkPassword(made); err != nil {
			t.Fatalf("%s: %v", made, err)
		}
	}
}
