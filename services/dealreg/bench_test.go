package main

import (
	"encoding/json"
	"math"
	"testing"
)

// benched runs a bench and gives what it prints.
func benched(t *testing.T, args ...string) benchResult {
	t.Helper()
	out, err := command(t, append([]string{"bench"}, args...)...).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var got benchResult
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got.Bench != args[0] || got.Unit == "" || got.Figure <= 0 || got.Limit <= 0 || math.Abs(got.Ratio-got.Figure/got.Limit) > 1e-6 {
		t.Errorf("got %s", out)
	}
	return got
}

func TestBenchAggregate_ComparesWithPullAndInsertOfTheSameEvents(t *testing.T) {
	t.Parallel()
	got := benched(t, "aggregate", "--deals", "500", "--seconds", "10")
	limit := 1 / (1/got.Also["pull_events_per_second"] + 1/got.Also["insert_events_per_second"])
	if math.Abs(got.Limit-limit) > limit/1e6 || got.Also["events"] < 500 || got.Also["bytes_per_event"] < 100 {
		t.Errorf("got %+v", got)
	}
}
