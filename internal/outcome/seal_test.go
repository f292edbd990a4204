package outcome

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func ring(tb testing.TB, keys ...[]byte) *Keyring {
	tb.Helper()
	k, err := NewKeyring(keys...)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func TestKeyring_OpensWithAnyKeyAndSealsWithTheFirst(t *testing.T) {
	t.Parallel()
	old := ring(t, testKey).seal("identwatch:a", []byte("secret"))
	rotated := ring(t, otherKey, testKey)
	if got, err := rotated.open("identwatch:a", old); err != nil || string(got) != "secret" {
		t.Errorf("opened %q, %v", got, err)
	}
	fresh := rotated.seal("identwatch:a", []byte("secret"))
	if _, err := ring(t, testKey).open("identwatch:a", fresh); !errors.Is(err, ErrSealUnknownKey) {
		t.Errorf("the old key alone: %v", err)
	}
	if got, err := ring(t, otherKey).open("identwatch:a", fresh); err != nil || string(got) != "secret" {
		t.Errorf("the new key alone: %q, %v", got, err)
	}
}

func TestKeyring_NamesWhyASealCannotBeOpened(t *testing.T) {
	t.Parallel()
	k := ring(t, testKey)
	sealed := k.seal("identwatch:a", []byte("secret"))
	change := func(place int) []byte {
		c := append([]byte(nil), sealed...)
		c[place] ^= 1
		return c
	}
	for name, c := range map[string]struct {
		record string
		sealed []byte
		want   error
	}{
		"empty":                {"identwatch:a", nil, ErrSealMissing},
		"the version alone":    {"identwatch:a", sealed[:1], ErrSealTruncated},
		"the header alone":     {"identwatch:a", sealed[:sealHeader], ErrSealTruncated},
		"another version":      {"identwatch:a", change(0), ErrSealVersion},
		"another key":          {"identwatch:a", change(1), ErrSealUnknownKey},
		"the nonce changed":    {"identwatch:a", change(sealHeader), ErrSealBroken},
		"the text changed":     {"identwatch:a", change(len(sealed) - 17), ErrSealBroken},
		"the tag changed":      {"identwatch:a", change(len(sealed) - 1), ErrSealBroken},
		"cut by one":           {"identwatch:a", sealed[:len(sealed)-1], ErrSealBroken},
		"another session's":    {"identwatch:b", sealed, ErrSealBroken},
		"lengthened":           {"identwatch:a", append(append([]byte(nil), sealed...), 0), ErrSealBroken},
		"cut within the nonce": {"identwatch:a", sealed[:sealHeader+5], ErrSealTruncated},
	} {
		if got, err := k.open(c.record, c.sealed); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: opened %q, error %v, want %v", name, got, err, c.want)
		}
	}
}

func TestNewKeyring_RefusesWrongKeysWithoutPrintingThem(t *testing.T) {
	t.Parallel()
	if _, err := NewKeyring(); err == nil {
		t.Error("no key is accepted")
	}
	_, err := NewKeyring(testKey, []byte("short-marked"))
	if err == nil || strings.Contains(err.Error(), "marked") || !strings.Contains(err.Error(), "key 2") {
		t.Errorf("the error is %v", err)
	}
}

func TestResult_PrintsNothingPersonal(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, v := range []any{result, &result} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, "MARKED") {
				t.Errorf("%s prints %s", verb, got)
			}
		}
	}
}
