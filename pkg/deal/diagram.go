package deal

import (
	"fmt"
	"slices"
	"strings"
)

// Diagram draws the life of a deal as a Mermaid state diagram: one arrow for each pair of statuses, with the moves that
// lead along it and who makes them.
func Diagram() string {
	type arrow struct{ from, to Status }
	var arrows []arrow
	labels := map[arrow][]string{}
	var statuses []Status
	for _, t := range life {
		a := arrow{t.From, t.To}
		if len(labels[a]) == 0 {
			arrows = append(arrows, a)
		}
		if label := fmt.Sprintf("%s by %s", t.Move, t.By); !slices.Contains(labels[a], label) {
			labels[a] = append(labels[a], label)
		}
		if !slices.Contains(statuses, t.To) {
			statuses = append(statuses, t.To)
		}
	}
	var text strings.Builder
	text.WriteString("stateDiagram-v2\n")
	for _, a := range arrows {
		from := string(a.from)
		if a.from == New {
			from = "[*]"
		}
		fmt.Fprintf(&text, "    %s --> %s: %s\n", from, a.to, strings.Join(labels[a], ", "))
	}
	for _, s := range statuses {
		if s.Final() {
			fmt.Fprintf(&text, "    %s --> [*]\n", s)
		}
	}
	return text.String()
}
