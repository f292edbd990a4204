package hostlist

import (
	"testing"

	"golang.org/x/net/idna"
)

func TestList_CoversWhatItsPatternsSay(t *testing.T) {
	t.Parallel()
	l, err := Parse([]string{"Hooks.Example.com", "*.shop.example", "žuvis.example", "192.0.2.7", "2001:db8::1", "trailing.example."})
	if err != nil {
		t.Fatal(err)
	}
	punycode, err := idna.Lookup.ToASCII("žuvis.example")
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]bool{
		"https://" + punycode + "/":                true,
		"https://hooks.example.com/a?b":            true,
		"https://HOOKS.EXAMPLE.COM.:8443/":         true,
		"https://hooks.example.com.thief.example/": false,
		"https://example.com/":                     false,
		"https://xhooks.example.com/":              false,
		"https://a.shop.example/":                  true,
		"https://a.B.shop.example./":               true,
		"https://shop.example/":                    false,
		"https://.shop.example/":                   false,
		"https://a..shop.example/":                 false,
		"https://thiefshop.example/":               false,
		"https://thief.example/?.shop.example":     false,
		"https://thief.example#.shop.example":      false,
		"https://thief.example\\.shop.example/":    false,
		"https://a.shop.example@thief.example/":    false,
		"https://thief.example%2f.shop.example/":   false,
		"https://žuvis.example/":                   true,
		"https://ŽUVIS.example/":                   true,
		"https://192.0.2.7:8443/":                  true,
		"https://192.0.2.8/":                       false,
		"https://[2001:DB8::1]/":                   true,
		"https://[2001:db8:0:0::1]:8443/":          true,
		"https://[::ffff:192.0.2.7]/":              true,
		"https://trailing.example/":                true,
		"":                                         false,
		"https://":                                 false,
		"https://\x00":                             false,
	} {
		if got := l.Allows(url); got != want {
			t.Errorf("%s: %v", url, got)
		}
	}
}

func TestList_OfNothingAllowsEverythingAndCoversNothing(t *testing.T) {
	t.Parallel()
	l, err := Parse(nil)
	if err != nil || !l.Allows("https://anywhere.example/") || l.Covers("https://anywhere.example/") {
		t.Errorf("%v, %v", l, err)
	}
}

func TestParse_RefusesWhatIsNoHost(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{
		"", "*", "*.", "a.*.example", "**.example", "https://a.example", "a.example/", "a.example:443", "a b", ".example", "a..example",
		"user@a.example", "*.192.0.2.7", "[::1]", "\x00", "a.example,b.example", "*.*.example",
	} {
		if _, err := Parse([]string{"sound.example", pattern}); err == nil {
			t.Errorf("took %q", pattern)
		}
	}
}
