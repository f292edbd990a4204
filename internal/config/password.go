package config

import (
	"errors"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	minPassword = 12 // characters
	// minBits is how hard a password is to guess at the least, roughly: see strength.
	minBits = 50
)

// checkPassword returns the password as it is.
func checkPassword(text string) (string, error) {
	const example = "for example from `identwatch secret monitor`"
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return "", errors.New("no password, for it has control characters or is not UTF-8: write it on one line")
	case utf8.RuneCountInString(text) < minPassword:
		return "", errors.New("too short: write 12 characters or more, " + example)
	case strength(text) < minBits:
		return "", errors.New("too easy to guess, because it repeats, counts or is a common word: write a longer one, " + example)
	}
	return text, nil
}

// common are what guesses begin with. Each counts as one character.
var common = []string{
	"password", "passwort", "slaptazodis", "slaptažodis", "identwatch", "marksign", "monitor", "operator", "administrator", "admin", "secret",
	"letmein", "welcome", "changeme", "qwertyuiop", "qwerty", "asdfghjkl", "zxcvbnm", "test", "root",
}

// strength is about how many bits a password has: the kinds of its characters, to
// the power of those that do not merely repeat or go on from the one before.
func strength(text string) float64 {
	text = strings.ToLower(text)
	for _, word := range common {
		text = strings.ReplaceAll(text, word, word[:1])
	}
	kinds, counted, last, different := 0, 0, rune(-10), map[rune]bool{}
	for _, kind := range []struct {
		size int
		is   func(rune) bool
	}{
		{10, unicode.IsDigit},
		{26, unicode.IsLetter},
		{20, func(r rune) bool { return !unicode.IsDigit(r) && !unicode.IsLetter(r) }},
	} {
		if strings.ContainsFunc(text, kind.is) {
			kinds += kind.size
		}
	}
	for _, r := range text {
		if r < last-1 || r > last+1 {
			counted++
		}
		last, different[r] = r, true
	}
	return math.Log2(float64(kinds)) * float64(min(counted, 2*len(different)))
}
