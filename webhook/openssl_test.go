package webhook

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// openssl is the second implementation of v1a, which the official library lacks.
func openssl(t *testing.T, args ...string) error {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil && os.Getenv("CI") != "" {
		t.Fatal("openssl is not on the PATH, and in CI it is required")
	}
	if err != nil {
		t.Skip("openssl is not on the PATH")
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	if err != nil {
		t.Logf("openssl %s: %s", args[0], out)
	}
	return err
}

// writePEM writes a key as openssl reads it and returns the file.
func writePEM(t *testing.T, kind string, der []byte, err error) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err != nil || os.WriteFile(file, text, 0o600) != nil {
		t.Fatal("cannot write a key", err)
	}
	return file
}

func writeFile(t *testing.T, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestOpenSSL_VerifiesWhatWeSign(t *testing.T) {
	t.Parallel()
	key := NewSigningKey()
	der, err := x509.MarshalPKIXPublicKey(key.key().Public())
	public := writePEM(t, "PUBLIC KEY", der, err)
	for _, body := range []string{"", "{}", "Žydrūnė\x00\xff\n", strings.Repeat("x", 100_000)} {
		h := http.Header{}
		mustSigner(t, &key, NewSecret(), NewSecret()).Sign(h, "evt_1", timeOfTests, []byte(body))
		signatures := strings.Split(h.Get("webhook-signature"), " ")
		value, isV1a := strings.CutPrefix(signatures[2], "v1a,")
		raw, err := base64.StdEncoding.DecodeString(value)
		if !isV1a || err != nil {
			t.Fatalf("%s is no v1a signature", signatures[2])
		}
		message := "evt_1." + h.Get("webhook-timestamp") + "." + body
		signature := writeFile(t, raw)
		verify := func(message string) error {
			return openssl(t, "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", writeFile(t, []byte(message)), "-sigfile", signature)
		}
		if err := verify(message); err != nil {
			t.Errorf("a body of %d bytes: openssl does not accept our signature: %v", len(body), err)
		}
		if err := verify(message + "x"); err == nil {
			t.Errorf("a body of %d bytes: openssl accepts a changed one", len(body))
		}
	}
}

func TestVerifier_VerifiesWhatOpenSSLSigns(t *testing.T) {
	t.Parallel()
	key := NewSigningKey()
	der, err := x509.MarshalPKCS8PrivateKey(key.key())
	private := writePEM(t, "PRIVATE KEY", der, err)
	stamp := timestamp(time.Now())
	for _, body := range []string{"", "{}", "Žydrūnė\x00\xff\n"} {
		signature := filepath.Join(t.TempDir(), "signature")
		message := writeFile(t, []byte("evt_1."+stamp+"."+body))
		if err := openssl(t, "pkeyutl", "-sign", "-inkey", private, "-rawin", "-in", message, "-out", signature); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(signature)
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		h.Set(HeaderID, "evt_1")
		h.Set(HeaderTimestamp, stamp)
		h.Set(HeaderSignature, "v1a,"+base64.StdEncoding.EncodeToString(raw))
		v := Verifier{PublicKeys: []PublicKey{key.Public()}}
		if err := v.Verify(h, []byte(body)); err != nil {
			t.Errorf("body %q: %v", body, err)
		}
		if err := v.Verify(h, []byte(body+"x")); err == nil {
			t.Errorf("body %q: a changed one is accepted", body)
		}
	}
}
