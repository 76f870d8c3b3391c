//go:build bench

package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestBench_ReachesItsGoals runs each bench at its full size on a machine that has nothing else to do. Every goal is a ratio
// to a limit that was measured in the same run.
func TestBench_ReachesItsGoals(t *testing.T) { //nolint:paralleltest // each bench wants the machine to itself
	for _, bench := range []struct {
		command string
		goals   []goal
	}{
		{"aggregate --seconds 12 --deals 150000", []goal{{"ratio", atLeast, 0.7}}},
		{"aggregate --seconds 12 --deals 7400000 --rebuild", []goal{
			{"rebuild_slowest_tenth_times_first_tenth", atLeast, 0.5},
		}},
		{"register --seconds 15", []goal{
			{"ratio", atLeast, 0.5}, {"times_single_publishes", atLeast, 5}, {"one_client_times_single_publish", atMost, 2},
		}},
		{"reports --seconds 20 --deals 10000000", []goal{{"ratio", atMost, 1}}},
		{"pages --seconds 10 --deals 400000", []goal{{"ratio", atMost, 4}}},
		{"webhooks", []goal{{"ratio", atLeast, 0.5}, {"ailing_times_healthy_p99", atMost, 1.2}, {"quiet_p99_times_bare_consumer", atMost, 3}}},
	} {
		t.Run(bench.command, func(t *testing.T) {
			got := benched(t, strings.Fields(bench.command)...)
			t.Logf("%+v", got)
			for _, g := range bench.goals {
				value, there := got.Also[g.name]
				if g.name == "ratio" {
					value, there = got.Ratio, true
				}
				if !there || g.misses(value) {
					t.Errorf("%s is %.3g, the goal is %s", g.name, value, g)
				}
			}
		})
	}
}

// goal bounds one figure of a bench.
type goal struct {
	name  string
	side  side
	bound float64
}

type side bool

const (
	atLeast side = false
	atMost  side = true
)

func (g goal) misses(value float64) bool {
	if g.side == atMost {
		return value > g.bound
	}
	return value < g.bound
}

func (g goal) String() string {
	if g.side == atMost {
		return fmt.Sprintf("at most %g", g.bound)
	}
	return fmt.Sprintf("at least %g", g.bound)
}
