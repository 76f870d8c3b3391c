package webhooks_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/dealreg/dealreg/pkg/webhook/webhooktest"
)

// asReceived is one webhook as a library of somebody else gets it.
type asReceived struct {
	Library string            `json:"library"`
	Key     string            `json:"key"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// TestDelivered_IsVerifiedByTheLibrariesOfReceivers gives them what came over the wire: before, during and after a
// rotation, and signed with a pair.
func TestDelivered_IsVerifiedByTheLibrariesOfReceivers(t *testing.T) {
	t.Parallel()
	const folder = "../../pkg/webhook/testdata/node"
	webhooktest.NodeModules(t, folder)
	w := newWorld(t, nil)
	company, key := w.companyAdmin()
	shared, pair := newReceiver(t, nil), newReceiver(t, nil)
	id, first := w.endpoint(key, shared.URL, nil)
	paired, _ := w.endpoint(key, pair.URL, object{"signing": "pair"})
	public := func() string {
		t.Helper()
		text, _ := w.must(200, key, "GET", endpoints+"/"+paired, nil)["public_key"].(string)
		return text
	}
	firstPublic := public()
	before := w.happen(1, company)
	shared.await(t, before...)
	pair.await(t, before...)
	second, _ := w.must(200, key, "POST", endpoints+"/"+id+"/rotate-secret", nil)["secret"].(string)
	w.must(200, key, "POST", endpoints+"/"+paired+"/rotate-secret", nil)
	during := w.happen(1, company)
	shared.await(t, during...)
	pair.await(t, during...)

	var asked []asReceived
	var takes []bool
	ask := func(rc *receiver, event, library, key string, want bool) {
		t.Helper()
		for _, got := range rc.all() {
			if got.id != event {
				continue
			}
			plain := map[string]string{}
			for name := range got.header {
				plain[strings.ToLower(name)] = got.header.Get(name)
			}
			asked, takes = append(asked, asReceived{library, key, plain, string(got.body)}), append(takes, want)
		}
	}
	for _, library := range []string{"standardwebhooks", "svix"} {
		ask(shared, before[0], library, first, true)
		ask(shared, before[0], library, second, false)
		ask(shared, during[0], library, first, true)
		ask(shared, during[0], library, second, true)
	}
	ask(pair, before[0], "ed25519", firstPublic, true)
	ask(pair, before[0], "ed25519", public(), false)
	ask(pair, during[0], "ed25519", firstPublic, true)
	ask(pair, during[0], "ed25519", public(), true)

	text, err := json.Marshal(asked)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "verify.mjs")
	var faults bytes.Buffer
	cmd.Dir, cmd.Stdin, cmd.Stderr = folder, bytes.NewReader(text), &faults
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, &faults)
	}
	var answers []string
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != len(takes) || len(takes) != 12 {
		t.Fatalf("%d answers to %d questions: %v", len(answers), len(takes), err)
	}
	for i, answer := range answers {
		if takes[i] != (answer == "ok") {
			t.Errorf("%s with %s: %s", asked[i].Library, asked[i].Key[:5], answer)
		}
	}
}
