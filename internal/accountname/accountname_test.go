package accountname

import (
	"strings"
	"testing"
)

func TestProblem_TakesWhatAVariableCanBeginWith(t *testing.T) {
	t.Parallel()
	for name, fine := range map[string]bool{
		"a": true, "default": true, "shop-2_lt": true, strings.Repeat("a", MaxLength): true,
		"": false, "1shop": false, "-a": false, "_a": false, "Shop": false, "a b": false, "a:b": false, "ą": false, "a\n": false,
		strings.Repeat("a", MaxLength+1): false,
	} {
		if problem := Problem(name); (problem == "") != fine || name != "" && strings.Contains(problem, "shop") {
			t.Errorf("%q: %q", name, problem)
		}
	}
}
