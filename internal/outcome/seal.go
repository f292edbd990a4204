package outcome

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"fmt"
)

// IsSealError reports whether an error says that a sealed result cannot be opened,
// and not that Redis could not be asked for it.
func IsSealError(err error) bool {
	for _, known := range []error{ErrSealMissing, ErrSealTruncated, ErrSealVersion, ErrSealUnknownKey, ErrSealBroken} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// KeySize is the length of a sealing key, in bytes: AES-256.
const KeySize = 32

// A sealed result is version | key id | nonce and ciphertext of AES-256-GCM.
// The additional data is the version and the record's key, so that a result
// cannot be moved to another session, or read as another version.
//
// Version 2 holds a [Result] with its [Instructions]. Version 1 holds the event
// alone, and has the record's key alone as additional data. This release writes 2
// and reads both.
const (
	sealVersion    = 2
	sealVersionOld = 1
	keyIDSize      = 8
	sealHeader     = 1 + keyIDSize
)

// Why a sealed result cannot be opened. None of them says anything of its content.
var (
	ErrSealMissing    = errors.New("the sealed result is gone: its time is over, or Redis lost it")
	ErrSealTruncated  = errors.New("the sealed result is cut short")
	ErrSealVersion    = errors.New("the sealed result has a version that this release does not know")
	ErrSealUnknownKey = errors.New("the sealed result was made with a key that is not among the outcome keys")
	ErrSealBroken     = errors.New("the sealed result was changed, or belongs to another session")
)

// Keyring seals results with its first key and opens them with any. It is safe
// for concurrent use. Nonces are random: make a new first key before 2^32 results.
type Keyring struct {
	first [keyIDSize]byte
	keys  map[[keyIDSize]byte]cipher.AEAD
}

// NewKeyring makes a keyring of one or more keys of KeySize bytes.
func NewKeyring(keys ...[]byte) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("no outcome key is given")
	}
	k := &Keyring{keys: make(map[[keyIDSize]byte]cipher.AEAD, len(keys))}
	for i, key := range keys {
		if len(key) != KeySize {
			return nil, fmt.Errorf("outcome key %d has %d bytes, not %d", i+1, len(key), KeySize)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		id := keyID(key)
		if i == 0 {
			k.first = id
		}
		k.keys[id] = aead
	}
	return k, nil
}

// keyID names a key without telling anything of it.
func keyID(key []byte) [keyIDSize]byte {
	sum := sha256.Sum256(append([]byte("identwatch outcome key id\x00"), key...))
	return [keyIDSize]byte(sum[:keyIDSize])
}

// seal makes the sealed form of a result that belongs to the record named.
func (k *Keyring) seal(recordKey string, result []byte) []byte {
	sealed := make([]byte, 0, sealHeader+len(result)+64)
	sealed = append(sealed, sealVersion)
	sealed = append(sealed, k.first[:]...)
	return k.keys[k.first].Seal(sealed, nil, result, additional(sealVersion, recordKey)) //nolint:gosec // this AEAD makes the nonce itself
}

// open returns the result, or one of the ErrSeal errors.
func (k *Keyring) open(recordKey string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, ErrSealMissing
	}
	if sealed[0] != sealVersion && sealed[0] != sealVersionOld {
		return nil, ErrSealVersion
	}
	if len(sealed) < sealHeader {
		return nil, ErrSealTruncated
	}
	aead, known := k.keys[[keyIDSize]byte(sealed[1:sealHeader])]
	if !known {
		return nil, ErrSealUnknownKey
	}
	if len(sealed) < sealHeader+aead.Overhead() {
		return nil, ErrSealTruncated
	}
	result, err := aead.Open(nil, nil, sealed[sealHeader:], additional(sealed[0], recordKey))
	if err != nil {
		return nil, ErrSealBroken
	}
	return result, nil
}

// additional is the data that a seal is bound to. No record's key begins with a
// version, so that none of one version is that of another.
func additional(version byte, recordKey string) []byte {
	if version == sealVersionOld {
		return []byte(recordKey)
	}
	return append([]byte{version}, recordKey...)
}
