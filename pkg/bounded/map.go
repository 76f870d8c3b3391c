// Package bounded remembers what could be made again, in bounded memory.
package bounded

import "sync"

// Map holds values up to a total size, and forgets all of them when one more would be too many: no value is worth an
// order of use. It is safe for concurrent use.
type Map[K comparable, V any] struct {
	most int

	mu     sync.Mutex
	values map[K]sized[V]
	size   int
}

type sized[V any] struct {
	value V
	size  int
}

// NewMap gives an empty Map of values of at most so much together, in whatever unit Put counts.
func NewMap[K comparable, V any](most int) *Map[K, V] {
	return &Map[K, V]{most: most, values: map[K]sized[V]{}}
}

// Get gives the value of the key, and false when it is not remembered.
func (m *Map[K, V]) Get(key K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, there := m.values[key]
	return v.value, there
}

// Put remembers a value in the place of the key's one before. One that is too large alone is not remembered.
func (m *Map[K, V]) Put(key K, value V, size int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.size -= m.values[key].size
	delete(m.values, key)
	if size > m.most {
		return
	}
	if m.size+size > m.most {
		clear(m.values)
		m.size = 0
	}
	m.values[key] = sized[V]{value, size}
	m.size += size
}
