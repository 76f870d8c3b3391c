package registry

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/stream"
)

func TestProblem_TellsDamageFromADealThatIsNotThere(t *testing.T) {
	t.Parallel()
	id := newID()
	for _, c := range []struct {
		err  error
		want int
	}{
		{stream.ErrNoDeal, http.StatusNotFound},
		{stream.ErrUnknown, http.StatusServiceUnavailable},
		{fmt.Errorf("read: %w", &stream.DamagedError{Deal: id, Revision: 2}), http.StatusServiceUnavailable},
	} {
		problem, ok := errors.AsType[*httpapi.Problem](new(Service).problem(id, c.err))
		if !ok || problem.Status != c.want {
			t.Errorf("%v gives %v; want %d", c.err, problem, c.want)
		}
		if c.want == http.StatusServiceUnavailable && !errors.Is(problem, c.err) {
			t.Errorf("%v is not in the operator's log: %v", c.err, problem)
		}
	}
}
