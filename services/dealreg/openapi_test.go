package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"go.uber.org/zap"
)

var update = flag.Bool("update", false, "write the golden files anew")

const goldenDocument = "testdata/openapi.json"

// TestOpenAPI_IsTheCommittedContract makes each change of the contract a change that a reader of the commit sees. What
// is committed is also what the linter reads and the client is generated from.
func TestOpenAPI_IsTheCommittedContract(t *testing.T) {
	t.Parallel()
	nowhere := system{Data: t.TempDir(), NATSURL: "nats://127.0.0.1:1", ClickhouseDSN: "clickhouse://127.0.0.1:1/nowhere"}
	a, err := assemble(t.Context(), nowhere, zap.NewNop(), nil, allServices)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	text, err := a.server.Document()
	if err != nil {
		t.Fatal(err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, text, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	if *update {
		if err := os.WriteFile(goldenDocument, pretty.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(goldenDocument)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(golden, pretty.Bytes()) {
		t.Error("the contract changed: look at `go test ./services/dealreg -run IsTheCommittedContract -update && git diff`")
	}
}

func TestOpenAPI_DescribesEveryAnswerOfEveryOperation(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for _, op := range operationsOf(w.api) {
		if !w.contract.answered[op.OperationID] {
			t.Errorf("%s never succeeded: add it to settle", op.OperationID)
		}
		w.refusesStrangers(op)
		w.refusesTheBoardOfAnother(op)
		w.refusesTheGuestOfAnotherDeal(op)
		w.refusesWrongPaths(op)
		w.refusesWrongQueries(op)
		w.refusesWrongHeaders(op)
		w.refusesWrongBodies(op)
	}
}
