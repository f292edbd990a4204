package session

import (
	"strings"
	"testing"
)

func TestAccountProblem_TakesWhatAVariableCanBeginWith(t *testing.T) {
	t.Parallel()
	for name, fine := range map[string]bool{
		"a": true, "default": true, "shop-2_lt": true, strings.Repeat("a", MaxAccountLength): true,
		"": false, "1shop": false, "-a": false, "_a": false, "Shop": false, "a b": false, "a:b": false, "ą": false, "a\n": false,
		strings.Repeat("a", MaxAccountLength+1): false,
	} {
		if problem := AccountProblem(name); (problem == "") != fine || name != "" && strings.Contains(problem, "shop") {
			t.Errorf("%q: %q", name, problem)
		}
	}
}
