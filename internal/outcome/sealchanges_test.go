package outcome

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"
)

// sealErrors are all the reasons why a seal is not opened.
var sealErrors = []error{ErrSealMissing, ErrSealTruncated, ErrSealVersion, ErrSealUnknownKey, ErrSealBroken}

// mustNotOpen demands one of the reasons, and nothing of the result.
func mustNotOpen(t *testing.T, k *Keyring, what, record string, sealed []byte) {
	t.Helper()
	got, err := k.open(record, sealed)
	named := slices.ContainsFunc(sealErrors, func(reason error) bool { return errors.Is(err, reason) })
	if got != nil || !named {
		t.Errorf("%s: opened %q, error %v, want one that names the cause", what, got, err)
	}
}

// TestKeyring_OpensNothingThatWasChanged turns every bit, cuts at every place,
// and takes out, doubles and swaps every byte.
func TestKeyring_OpensNothingThatWasChanged(t *testing.T) {
	t.Parallel()
	const record = "identwatch:default:a"
	k := ring(t, testKey, otherKey)
	sealed := k.seal(record, []byte(`{"type":"identification.completed"}`))
	for place := range sealed {
		for bit := range 8 {
			changed := bytes.Clone(sealed)
			changed[place] ^= 1 << bit
			mustNotOpen(t, k, "a bit turned", record, changed)
		}
		mustNotOpen(t, k, "cut short", record, sealed[:place])
		mustNotOpen(t, k, "begun late", record, sealed[place+1:])
		mustNotOpen(t, k, "a byte taken out", record, slices.Delete(bytes.Clone(sealed), place, place+1))
		mustNotOpen(t, k, "a byte doubled", record, slices.Insert(bytes.Clone(sealed), place, sealed[place]))
		if next := place + 1; next < len(sealed) && sealed[place] != sealed[next] {
			changed := bytes.Clone(sealed)
			changed[place], changed[next] = changed[next], changed[place]
			mustNotOpen(t, k, "two bytes swapped", record, changed)
		}
	}
}

// TestKeyring_OpensNothingOfAnotherSession moves a seal to sessions with like
// names, and mixes the halves of two seals.
func TestKeyring_OpensNothingOfAnotherSession(t *testing.T) {
	t.Parallel()
	const record = "identwatch:default:a"
	k := ring(t, testKey)
	sealed := k.seal(record, []byte("one"))
	for _, other := range []string{
		"", "identwatch:default:b", "identwatch:default:A", "identwatch:default:a ", "identwatch:default:aa", "identwatch:default:",
		"identwatch:other:a", "identwatch:default:a:sealed", "identwatch:default:a\x00",
	} {
		mustNotOpen(t, k, "moved to "+other, other, sealed)
	}
	again := k.seal(record, []byte("two"))
	for place := sealHeader + 1; place < min(len(sealed), len(again)); place++ {
		mustNotOpen(t, k, "two seals mixed", record, slices.Concat(sealed[:place], again[place:]))
	}
}

// TestKeyring_ClaimedKeyDoesNotOpenAnothers has a seal say that it was made with
// a key that is there, and was not.
func TestKeyring_ClaimedKeyDoesNotOpenAnothers(t *testing.T) {
	t.Parallel()
	const record = "identwatch:default:a"
	foreign := ring(t, otherKey).seal(record, []byte("secret"))
	if _, err := ring(t, testKey).open(record, foreign); !errors.Is(err, ErrSealUnknownKey) {
		t.Errorf("a key that is not there: %v", err)
	}
	id := keyID(testKey)
	copy(foreign[1:sealHeader], id[:])
	if got, err := ring(t, testKey, otherKey).open(record, foreign); !errors.Is(err, ErrSealBroken) || got != nil {
		t.Errorf("a key that did not make it: opened %q, %v", got, err)
	}
}

func TestKeyring_SealsNeverTheSameTwice(t *testing.T) {
	t.Parallel()
	k := ring(t, testKey)
	if bytes.Equal(k.seal("a", []byte("one")), k.seal("a", []byte("one"))) {
		t.Error("two seals of one result are the same")
	}
}

// TestKeyring_OpensNoVersionAsAnother has a seal say that it is of the version
// that holds no instructions.
func TestKeyring_OpensNoVersionAsAnother(t *testing.T) {
	t.Parallel()
	const record = "identwatch:default:a"
	k := ring(t, testKey)
	sealed := k.seal(record, []byte(`{}`))
	sealed[0] = sealVersionOld
	mustNotOpen(t, k, "the old version", record, sealed)
}

// sealOld makes a seal of version 1, as the releases before did.
func sealOld(t *testing.T, k *Keyring, record string, body []byte) []byte {
	t.Helper()
	sealed := append([]byte{sealVersionOld}, k.first[:]...)
	return k.keys[k.first].Seal(sealed, nil, body, []byte(record))
}

func TestStore_OpensWhatWasSealed(t *testing.T) {
	t.Parallel()
	k := ring(t, testKey)
	s := NewStore(Config{Keyring: k})
	changed := Record{Type: "identification.failed", Reason: "internal", Polls: 99}
	sealed, err := s.sealResult(session, result)
	if err != nil {
		t.Fatal(err)
	}
	changed.sealed = sealed
	if got, err := s.Open(session, changed); err != nil || !reflect.DeepEqual(got, result) {
		t.Errorf("opened %+v %+v, %v", got, got.Instructions, err)
	}
	changed.sealed = sealOld(t, k, recordKey(session), result.Body)
	if got, err := s.Open(session, changed); err != nil || string(got.Body) != string(result.Body) || got.Instructions != nil {
		t.Errorf("an old seal: opened %+v, %v", got, err)
	}
	for _, plain := range []string{"", "abc", "\x00\x00\x00\x09{}", "\xff\xff\xff\xff{}", "\x00\x00\x00\x02{}", "\x00\x00\x00\x04null", "\x00\x00\x00\x02[]"} {
		changed.sealed = k.seal(recordKey(session), []byte(plain))
		if got, err := s.Open(session, changed); err == nil || got.Body != nil {
			t.Errorf("opened %q: %v", plain, got)
		}
	}
	if _, err := s.sealResult(session, Result{Type: "identification.failed"}); err == nil {
		t.Error("sealed a result without instructions")
	}
}
