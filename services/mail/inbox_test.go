package mail

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// secrets are what the deals of all tests are about. No mail may hold any of them.
var secrets = []string{"Zanzibar", "Zuckerfabrik", "zuckerfabrik.example", "4711.23", "471123", "235561", "235562", "EUR", "Aardvark", "Bumblebee", "Capybara"}

// inbox is a real SMTP server on the loopback that keeps what it takes.
type inbox struct {
	t       testing.TB
	address string
	secure  *tls.Config // implicit TLS; nil for none
	login   string      // user:password that it asks for; empty for none

	mu     sync.Mutex
	got    []received
	answer func(stage, to string, m received) error // may refuse or wait; the mail is in got by then
	news   chan struct{}
	stop   func()
}

// received is a mail, read as its reader's program would.
type received struct {
	to          string
	raw         string
	header      netmail.Header
	subject     string
	text, html  string
	contentType string
}

func newInbox(t testing.TB, change ...func(*inbox)) *inbox {
	t.Helper()
	i := &inbox{t: t, news: make(chan struct{}, 1)}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	i.address = listener.Addr().String()
	for _, f := range change {
		f(i)
	}
	i.serve(listener)
	t.Cleanup(func() {
		i.close()
		i.sayNothing()
	})
	return i
}

func (i *inbox) serve(listener net.Listener) {
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{inbox: i}, nil }))
	server.Domain, server.AllowInsecureAuth, server.ErrorLog = "mail.test", true, silent{}
	if i.secure != nil {
		listener = tls.NewListener(listener, i.secure)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	i.stop = sync.OnceFunc(func() {
		_ = server.Close()
		_ = listener.Close() // when it was not served yet
		<-ended
	})
}

// close takes the server away.
func (i *inbox) close() { i.stop() }

// open brings it back at the same address.
func (i *inbox) open() {
	i.t.Helper()
	listener, err := new(net.ListenConfig).Listen(i.t.Context(), "tcp", i.address)
	if err != nil {
		i.t.Fatal(err)
	}
	i.serve(listener)
}

type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// answers sets how the server answers at each stage: "from", "to" and "data".
func (i *inbox) answers(f func(stage, to string, m received) error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = f
}

func (i *inbox) ask(stage, to string, m received) error {
	i.mu.Lock()
	answer := i.answer
	i.mu.Unlock()
	if answer == nil {
		return nil
	}
	return answer(stage, to, m)
}

type session struct {
	inbox *inbox
	to    string
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user+":"+password != s.inbox.login {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}
func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }
func (s *session) Mail(string, *smtp.MailOptions) error {
	return s.inbox.ask("from", "", received{})
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return s.inbox.ask("to", to, received{})
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m, err := read(s.to, raw)
	if err != nil {
		s.inbox.t.Errorf("a mail that nobody can read: %v\n%s", err, raw)
	}
	s.inbox.mu.Lock()
	s.inbox.got = append(s.inbox.got, m)
	s.inbox.mu.Unlock()
	select {
	case s.inbox.news <- struct{}{}:
	default:
	}
	return s.inbox.ask("data", s.to, m)
}

func read(to string, raw []byte) (received, error) {
	m := received{to: to, raw: string(raw)}
	parsed, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return m, err
	}
	m.header = parsed.Header
	if m.subject, err = new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject")); err != nil {
		return m, err
	}
	kind, parameters, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	if err != nil {
		return m, err
	}
	m.contentType = kind
	parts := multipart.NewReader(parsed.Body, parameters["boundary"])
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return m, err
		}
		text, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			return m, err
		}
		switch plain := strings.ReplaceAll(string(text), "\r\n", "\n"); {
		case strings.HasPrefix(part.Header.Get("Content-Type"), "text/plain"):
			m.text = plain
		case strings.HasPrefix(part.Header.Get("Content-Type"), "text/html"):
			m.html = plain
		}
	}
}

func (i *inbox) all() []received {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]received{}, i.got...)
}

// to are the subjects of the mails that went to the address, in order.
func (i *inbox) to(address string) []string {
	var subjects []string
	for _, m := range i.all() {
		if m.to == address {
			subjects = append(subjects, m.subject)
		}
	}
	return subjects
}

// await waits until so many mails have come.
func (i *inbox) await(n int) []received {
	i.t.Helper()
	late := time.After(patience)
	for {
		if got := i.all(); len(got) >= n {
			return got
		}
		select {
		case <-i.news:
		case <-late:
			i.t.Fatalf("%d mails of %d came", len(i.all()), n)
		}
	}
}

// sayNothing fails when any mail says what only people who sign in may know.
func (i *inbox) sayNothing() {
	for _, m := range i.all() {
		for _, secret := range secrets {
			for _, text := range []string{m.raw, m.subject, m.text, m.html} {
				if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
					i.t.Errorf("a mail says %q:\n%s", secret, m.raw)
				}
			}
		}
	}
}
