// Package lifecycle starts the parts of a process, stops them in reverse order and collects what each of them lacks.
//
// It knows nothing of what the parts do, and it never kills one: a part that does not return in time is reported and
// left behind, for the process is about to end anyway.
package lifecycle
