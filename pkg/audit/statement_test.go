package audit_test

import (
	"strings"
	"testing"

	"github.com/dealreg/dealreg/pkg/audit"
)

func TestRun_CouldNotTellOfAStatementThatIsNotThere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ association, statement, want string }{
		{"", "2026", "name the one whose statement it is"},
		{"X", "2026", "name the one whose statement it is"},
		{associationX.String(), "26", "names no statement: write a year"},
		{associationX.String(), "2026/x", "names no statement: write a year"},
		{associationX.String(), "2026/rlatest", "such as 2026/3"},
		{associationX.String(), "2026/0", "such as 2026/3"},
		{associationX.String(), "2026/r3", "the system answers 404"},
	} {
		code, out, err := run(t, newSystem(t), func(cfg *audit.Config) { cfg.Association, cfg.Statement = c.association, c.statement })
		if code != audit.CouldNotTell || err == nil || !strings.Contains(err.Error(), c.want) || out != "" {
			t.Errorf("%+v: %d, %v\n%s", c, code, err, out)
		}
	}
}
