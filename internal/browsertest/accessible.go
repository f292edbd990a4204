package browsertest

import (
	_ "embed"
	"slices"
)

//go:embed accessible.js
var accessible string

// violation is a rule that an element of a page breaks.
type violation struct {
	Rule    string `json:"rule"`
	Element string `json:"element"`
}

// Accessible fails the test for what those would miss who do not see the page as
// it stands, see it badly, or use no mouse: names of controls and pictures, the
// contrast of texts (WCAG 2.2 AA), landmarks, the order of headings, ids. The rules
// are in accessible.js; some may be left out by their names.
func (p *Page) Accessible(except ...string) {
	p.tb.Helper()
	for _, v := range Eval[[]violation](p, accessible) {
		if !slices.Contains(except, v.Rule) {
			p.tb.Errorf("not accessible (%s): %s", v.Rule, v.Element)
		}
	}
}
