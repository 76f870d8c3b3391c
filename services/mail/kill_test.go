package mail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/roster"
)

// What the child process reads: the addresses of the broker and of the SMTP server.
const (
	childNATS = "DEALREG_TEST_MAIL_NATS"
	childSMTP = "DEALREG_TEST_MAIL_SMTP"
)

// runChild mails until it is killed.
func runChild() {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
	}
	nc, err := nats.Connect(os.Getenv(childNATS))
	fail(err)
	js, err := jetstream.New(nc)
	fail(err)
	people := roster.New(js, nil, nil)
	go func() { fail(people.Run(context.Background())) }()
	postman, err := NewPostman(PostmanConfig{
		SMTP: "smtp://" + os.Getenv(childSMTP), From: "dealreg@registry.example", PublicURL: "https://deals.registry.example",
	})
	fail(err)
	cfg := Config{NATS: nc, Roster: people, Postman: postman}
	quick(&cfg)
	s, err := New(cfg)
	fail(err)
	fail(s.Run(context.Background()))
	os.Exit(0)
}

// TestKilled_BetweenSendAndRecordRepeatsOnceAtMost kills the process each time that the server has the mail and has not
// yet said so.
func TestKilled_BetweenSendAndRecordRepeatsOnceAtMost(t *testing.T) {
	t.Parallel()
	for _, kills := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d kills", kills), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ben := w.person("Ben", bumblebee, "en")
			var mu sync.Mutex
			var child *exec.Cmd
			left := kills
			died := make(chan struct{}, kills)
			w.inbox.answers(func(stage, _ string, _ received) error {
				mu.Lock()
				defer mu.Unlock()
				if stage != "data" || left == 0 {
					return nil
				}
				left--
				_ = child.Process.Kill()
				_ = child.Wait()
				died <- struct{}{}
				return errors.New("the process is dead")
			})
			w.start() // so that mails begin before the deal
			w.stop()
			w.register(bumblebee)
			for range kills {
				mu.Lock()
				child = exec.Command(os.Args[0])
				child.Env = append(os.Environ(), childNATS+"="+w.nats.URL(), childSMTP+"="+w.inbox.address)
				child.Stderr = os.Stderr
				err := child.Start()
				mu.Unlock()
				if err != nil {
					t.Fatal(err)
				}
				select {
				case <-died:
				case <-time.After(patience):
					_ = child.Process.Kill()
					t.Fatal("the child mailed nothing")
				}
			}
			w.start()
			records := w.settled()
			if len(records) != 1 {
				t.Fatalf("records %+v", records)
			}
			wantSubjects(t, w.inbox.to(ben), invitation, invitation)
			want := map[int]state{1: stateSent, 2: stateUnclear}[kills]
			if records[0].State != want {
				t.Errorf("after %d kills the mail is %s, want %s", kills, records[0].State, want)
			}
		})
	}
}
