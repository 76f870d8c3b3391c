package warehouse

import (
	"context"
	"sync"
)

// shared answers a question that many ask at the same time. Whoever asks while an answer is on its way gets the one after
// it, with all who ask meanwhile: no answer was begun before it was asked for.
type shared[T any] struct {
	mu   sync.Mutex
	next *answer[T] // not begun yet; nil when nobody waits for one
	turn sync.Mutex // held while an answer is on its way
}

type answer[T any] struct {
	begin sync.Once
	value T
	err   error
}

// ask gives the answer. When the one who fetches it gives up, those who share it fetch one of their own.
func (s *shared[T]) ask(ctx context.Context, fetch func(context.Context) (T, error)) (T, error) {
	s.mu.Lock()
	if s.next == nil {
		s.next = &answer[T]{}
	}
	a := s.next
	s.mu.Unlock()
	fetched := false
	s.turn.Lock()
	a.begin.Do(func() {
		s.mu.Lock()
		s.next = nil
		s.mu.Unlock()
		fetched = true
		a.value, a.err = fetch(ctx)
	})
	s.turn.Unlock()
	if a.err != nil && !fetched && ctx.Err() == nil {
		return fetch(ctx)
	}
	return a.value, a.err
}
