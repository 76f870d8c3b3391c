package webhooks_test

import (
	"strings"
	"testing"

	"github.com/dealreg/dealreg/pkg/stream"
)

// The log was restored to an older state: what comes now has sequences that were sent before.
func TestLost_TheEndOfTheLogIsSaidAndNothingNewIsPassedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	company, key := w.companyAdmin()
	rc := newReceiver(t, nil)
	id, _ := w.endpoint(key, rc.URL, nil)
	w.stop()
	put := func(bucket, key, value string) {
		t.Helper()
		kv, err := w.js.KeyValue(t.Context(), bucket)
		if err == nil {
			_, err = kv.PutString(t.Context(), key, value)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put("webhook_checkpoints", stream.DealsStream, `{"sequence":1000}`)
	put("webhook_cursors", id+"."+stream.DealsStream, `{"from":10,"at":990,"through":1000,"endpoint_id":"`+id+`","source":"DEALS"}`)
	put(stream.EndsBucket, stream.DealsStream, `{"sequence":1000}`)
	w.begin()
	w.until("said", func() bool {
		return strings.Contains(w.health.Failing()["webhooks DEALS"], "the log ends at 0 but had sequence 1000")
	})
	events := w.happen(20, company)
	if err := w.log.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	rc.await(t, events...)
	rc.once(t, events...)
}
