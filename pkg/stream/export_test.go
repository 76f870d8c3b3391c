package stream

// Hold keeps writers waiting until release, as a publish on its way does.
func (l *Log) Hold() (release func()) {
	l.commit.enter(&waiter{})
	return l.commit.letOthers
}

// Waiting is how many writers wait for their turn.
func (l *Log) Waiting() int {
	l.commit.mu.Lock()
	defer l.commit.mu.Unlock()
	return len(l.commit.waiting)
}
