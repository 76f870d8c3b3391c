package main

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"
)

// benched runs a bench and gives what it prints.
func benched(t *testing.T, args ...string) benchResult {
	t.Helper()
	cmd := command(t, append([]string{"bench"}, args...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, out, &said)
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
	got := benched(t, "aggregate", "--deals", "500", "--seconds", "10", "--rebuild")
	limit := 1 / (1/got.Also["pull_events_per_second"] + 1/got.Also["insert_events_per_second"])
	for _, name := range []string{"slowest_tenth_times_first_tenth", "rebuild_slowest_tenth_times_first_tenth"} {
		if steady := got.Also[name]; steady <= 0 || steady > 1 {
			t.Errorf("%s is %v: %+v", name, steady, got)
		}
	}
	if got.Also["rebuilt_events_per_second"] <= 0 {
		t.Errorf("got %+v", got)
	}
	if math.Abs(got.Limit-limit) > limit/1e6 || got.Also["events"] < 500 || got.Also["bytes_per_event"] < 100 {
		t.Errorf("got %+v", got)
	}
}

func TestBenchRegister_ComparesWithPublishingTheSameEventWithoutIt(t *testing.T) {
	t.Parallel()
	got := benched(t, "register", "--deals", "7000", "--seconds", "4")
	for _, name := range []string{"single_publishes_per_second", "single_publishes_at_once_per_second", "one_client_p50_microseconds", "single_publish_p50_microseconds", "deals"} {
		if got.Also[name] <= 0 {
			t.Errorf("%s is missing: %+v", name, got)
		}
	}
	// A crowd of clients shares batches; what else it reaches depends on what else the machine does.
	if got.Also["events_per_batch"] < 12 || got.Also["bytes_per_event"] < 300 || got.Also["deals"] > 7000 {
		t.Errorf("got %+v", got)
	}
}

func TestBenchReports_ComparesWithAPlainSumAndEveryFigureWithAFold(t *testing.T) {
	t.Parallel()
	got := benched(t, "reports", "--deals", "12000", "--seconds", "2")
	for _, name := range []string{"total_p99_ms", "month_p99_ms", "chapter_p99_ms", "pair_p99_ms", "rolled_up_events_per_second", "stored_while_reading_events_per_second"} {
		if got.Also[name] <= 0 {
			t.Errorf("%s is missing: %+v", name, got)
		}
	}
	if got.Also["events"] < 12_000 || got.Also["equal_figures"] < 5_000 {
		t.Errorf("got %+v", got)
	}
}

func TestBenchPages_ComparesWithAPlainSum(t *testing.T) {
	t.Parallel()
	got := benched(t, "pages", "--deals", "5000", "--seconds", "1")
	for name := range benchedPages {
		if got.Also[name+"_p50_ms"] <= 0 || got.Also[name+"_p99_ms"] > got.Figure || got.Also[name+"_bytes"] < 5000 || got.Also[name+"_bytes"] > 200_000 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got.Also["events"] < 5000 || got.Also["pages"] < 5 {
		t.Errorf("got %+v", got)
	}
}

func TestBenchWebhooks_ComparesWithABareClientAndWithEndpointsThatAreWell(t *testing.T) {
	t.Parallel()
	got := benched(t, "webhooks", "--endpoints", "300", "--events", "20")
	for _, name := range []string{
		"quiet_p50_ms", "quiet_p99_times_bare_consumer", "bare_client_of_the_same_width_per_second", "healthy_p99_ms",
		"healthy_p99_beside_ailing_ms", "ailing_times_healthy_p99",
	} {
		if got.Also[name] <= 0 {
			t.Errorf("%s is missing: %+v", name, got)
		}
	}
	// One in a hundred ails, in each of the three ways.
	if got.Also["ailing_endpoints"] != 3 {
		t.Errorf("got %+v", got)
	}
}
