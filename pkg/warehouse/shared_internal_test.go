package warehouse

import (
	"context"
	"errors"
	"sync"
	"testing"
)

func TestShared_GivesNoAnswerThatWasBegunBeforeItWasAskedFor(t *testing.T) {
	t.Parallel()
	var s shared[int]
	var group sync.WaitGroup
	begun, end := make(chan struct{}), make(chan struct{})
	group.Go(func() {
		got, err := s.ask(t.Context(), func(context.Context) (int, error) { close(begun); <-end; return 1, nil })
		if got != 1 || err != nil {
			t.Errorf("the first: %d, %v", got, err)
		}
	})
	<-begun
	asked, fetches := make(chan struct{}, 10), 0
	for range 10 {
		group.Go(func() {
			asked <- struct{}{}
			got, err := s.ask(t.Context(), func(context.Context) (int, error) { fetches++; return 1 + fetches, nil })
			if got < 2 || err != nil { // 1 was begun before
				t.Errorf("one of the others: %d, %v", got, err)
			}
		})
	}
	for range 10 {
		<-asked
	}
	close(end)
	group.Wait()
	if fetches < 1 || fetches > 10 {
		t.Errorf("%d fetches", fetches)
	}
}

func TestShared_FailsForHimAloneWhoGaveUp(t *testing.T) {
	t.Parallel()
	var s shared[int]
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	fetch := func(ctx context.Context) (int, error) { return 7, ctx.Err() }
	if _, err := s.ask(gone, fetch); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got, err := s.ask(t.Context(), fetch); got != 7 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
}
