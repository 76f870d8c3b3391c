package webhooks

import (
	"reflect"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/webhook"
)

// TestConfig_HoldsWhatReceiversAreTold compares the constants with what the README and the guide promise.
func TestConfig_HoldsWhatReceiversAreTold(t *testing.T) {
	t.Parallel()
	key, err := webhook.NewSealingKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	c := Config{NATS: &nats.Conn{}, Warehouse: &warehouse.Warehouse{}, Key: key}
	if err := c.complete(); err != nil {
		t.Fatal(err)
	}
	const m, h = time.Minute, time.Hour
	for name, pair := range map[string][2]any{
		"schedule":        {c.Schedule, []time.Duration{5 * time.Second, 5 * m, 30 * m, 2 * h, 5 * h, 10 * h, 14 * h, 20 * h, 24 * h}},
		"jitter":          {jitter, 0.2},
		"deadline":        {c.Deadline, 15 * time.Second},
		"disabled after":  {c.DisableAfter, 5 * 24 * h},
		"concurrency":     {c.Concurrency, 2},
		"idle":            {c.IdleConnections, 1000},
		"probes":          {c.probing(), probing{After: 5, First: 5 * time.Second, Most: 5 * m}},
		"ack wait":        {c.AckWait, 90 * time.Second},
		"lease":           {c.Lease, 10 * time.Second},
		"Retry-After":     {retryAfterAtMost, h},
		"rotation":        {rotationLasts, 24 * h},
		"replays kept":    {replaysKept, 30 * 24 * h},
		"rate":            {standardRate, 50},
		"cursor, events":  {partAtMost, 1024},
		"cursor, seconds": {storeEvery, time.Second},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: %v instead of %v", name, pair[0], pair[1])
		}
	}
	if 2*c.Deadline >= c.AckWait {
		t.Error("a message is given to another process while its exchange is under way")
	}
}
