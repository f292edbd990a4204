package config

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// outcomeKeySize is the size of an AES-256 key in bytes.
const outcomeKeySize = 32

// checkToken returns the access token as it is.
func checkToken(text string) (string, error) {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, isSpaceOrControl) {
		return "", errors.New("no access token, for it has white space or control characters: write the token alone")
	}
	return text, nil
}

// checkUser returns the name as it is. Basic authentication ends it at a colon.
func checkUser(text string) (string, error) {
	if !utf8.ValidString(text) || strings.Contains(text, ":") || strings.ContainsFunc(text, unicode.IsControl) {
		return "", errors.New("no name to log in with: write it without colons and control characters")
	}
	return text, nil
}

// parseWebhookSecrets returns the secrets of a list as they are. Their base64 is
// padded, for the libraries of receivers take no other.
func parseWebhookSecrets(text string) ([]string, error) {
	return parseList(text, func(item string) (string, error) {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(item, "whsec_"))
		if err != nil || len(raw) < 24 || len(raw) > 64 {
			return "", errors.New("it must be base64 of 24 to 64 bytes, with whsec_ in front or without")
		}
		return item, nil
	})
}

// checkSigningKey returns the key as it is.
func checkSigningKey(text string) (string, error) {
	text = strings.TrimSpace(text)
	encoded, marked := strings.CutPrefix(text, "whsk_")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if !marked || err != nil || len(raw) != 32 && len(raw) != 64 {
		return "", errors.New("no signing key: write whsk_ and base64 of 32 bytes (a seed) or 64 bytes (a private key)")
	}
	return text, nil
}

// parseOutcomeKeys decodes the keys of a list, each different from the others.
func parseOutcomeKeys(text string) ([][]byte, error) {
	keys, err := parseList(text, parseOutcomeKey)
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		same := func(other []byte) bool { return string(other) == string(key) }
		if first := slices.IndexFunc(keys, same); first < i {
			return nil, fmt.Errorf("wrong at item %d: it is the same key as item %d: write each once", i+1, first+1)
		}
	}
	return keys, nil
}

// parseOutcomeKey decodes one key, its base64 padded or not.
func parseOutcomeKey(item string) ([]byte, error) {
	encoding := base64.RawStdEncoding
	if strings.HasSuffix(item, "=") {
		encoding = base64.StdEncoding
	}
	key, err := encoding.DecodeString(item)
	switch {
	case err != nil || len(key) != outcomeKeySize:
		return nil, errors.New("it must be base64 of 32 bytes, for example from `identwatch secret outcome`")
	case string(key) == string(make([]byte, outcomeKeySize)):
		return nil, errors.New("the key is all zero: make one with `identwatch secret outcome`")
	}
	return key, nil
}

// taskKeySize is the size of a key that signs payloads, in bytes.
const taskKeySize = 32

// parseTaskKeys returns the keys of a list as they are, each different from the others.
func parseTaskKeys(text string) ([]string, error) {
	keys, err := parseList(text, func(item string) (string, error) {
		encoded, marked := strings.CutPrefix(item, "task_")
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if !marked || err != nil || len(raw) != taskKeySize || string(raw) == string(make([]byte, taskKeySize)) {
			return "", errors.New("it must be task_ and base64 of 32 random bytes, for example from `identwatch secret task`")
		}
		return item, nil
	})
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		if first := slices.Index(keys, key); first < i {
			return nil, fmt.Errorf("wrong at item %d: it is the same key as item %d: write each once", i+1, first+1)
		}
	}
	return keys, nil
}

// parseAPIKeys decodes the sums of a list, each different from the others.
func parseAPIKeys(text string) ([][32]byte, error) {
	sums, err := parseList(text, parseAPIKey)
	if err != nil {
		return nil, err
	}
	for i, sum := range sums {
		if first := slices.Index(sums, sum); first < i {
			return nil, fmt.Errorf("wrong at item %d: it is the same as item %d: write each once", i+1, first+1)
		}
	}
	return sums, nil
}

func parseAPIKey(item string) (sum [32]byte, err error) {
	text, marked := strings.CutPrefix(item, "sha256:")
	raw, err := hex.DecodeString(text)
	if !marked || err != nil || len(raw) != len(sum) {
		return sum, errors.New("it must be sha256: and 64 hexadecimal digits, for example from `identwatch secret api`, and never the API key itself")
	}
	return [32]byte(raw), nil
}

// parseList parses the items of a list, which commas and newlines separate, and
// skips blank ones. Its error tells the wrong items by number and shows none.
func parseList[T any](text string, parse func(item string) (T, error)) ([]T, error) {
	var values []T
	var problems []string
	separator := func(r rune) bool { return r == ',' || r == '\n' }
	for part := range strings.FieldsFuncSeq(text, separator) {
		item := strings.TrimSpace(part)
		if item == "" {
			continue
		}
		value, err := parse(item)
		values = append(values, value)
		if err != nil {
			problems = append(problems, fmt.Sprintf("wrong at item %d: %v", len(values), err))
		}
	}
	if len(values) == 0 {
		return nil, errors.New("a list of nothing but separators: write at least one item")
	}
	if len(problems) > 0 {
		return nil, errors.New(strings.Join(problems, "; "))
	}
	return values, nil
}
