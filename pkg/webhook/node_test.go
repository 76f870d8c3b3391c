package webhook_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"

	"github.com/dealreg/dealreg/pkg/webhook/webhooktest"
)

// node runs the script of testdata/node on the input, and reads its answers: one for each entry.
func node[In, Out any](t *testing.T, script string, input []In) []Out {
	t.Helper()
	const folder = "testdata/node"
	webhooktest.NodeModules(t, folder)
	text, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", script)
	var faults bytes.Buffer
	cmd.Dir, cmd.Stdin, cmd.Stderr = folder, bytes.NewReader(text), &faults
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node %s: %v\n%s", script, err, &faults)
	}
	var answers []Out
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != len(input) {
		t.Fatalf("node %s answered %s: %v", script, out, err)
	}
	return answers
}
