package main

import (
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
	gomail "github.com/wneessen/go-mail"
)

// storyWorld is what the story knows before it begins.
type storyWorld struct {
	browser

	Operator string    `json:"operator"` // the key that up printed
	Mails    string    `json:"mails"`    // where a post office hands out what it took
	Deal     storyDeal `json:"deal"`
}

// storyDeal is what only people who sign in may know. Amounts are as a person types and reads them in English.
type storyDeal struct {
	Title    string `json:"title"`
	Customer string `json:"customer"`
	Lead     string `json:"lead"`
	Partner  string `json:"partner"`
	Value    string `json:"value"` // as registered
	Share    string `json:"share"` // the partner's
	Final    string `json:"final"` // the value that both attest
}

// secrets are what no mail may hold, in small letters.
func (d storyDeal) secrets() []string {
	var all []string
	for _, text := range []string{d.Title, d.Customer, d.Lead, d.Partner, d.Value, d.Share, d.Final} {
		all = append(all, strings.ToLower(text), strings.ToLower(strings.ReplaceAll(text, ",", "")))
	}
	return all
}

func TestBrowser_FromAnEmptyFolderToTheBoardsTotal(t *testing.T) {
	t.Parallel()
	post := newPostOffice(t)
	p := up(t, t.TempDir(), "--smtp-url", "smtp://"+post.smtp, "--mail-from", "dealreg@registry.example")
	world := storyWorld{
		Operator: p.waitFor(operatorLine), Mails: post.url,
		Deal: storyDeal{
			Title: "Zanzibar roll-out", Customer: "Zuckerfabrik AG", Lead: "Alpha", Partner: "Birch",
			Value: "463,571", Share: "180,326", Final: "481,937",
		},
	}
	p.waitFor(`(dealreg is up)`)
	world.browser = newBrowser(t, p.url)
	runBrowser(t, world, filepath.Join(browserFolder, "story.mjs"))
	p.stop()

	const link = "Your link to sign in"
	want := map[string][]string{
		"ada@people.example": {link},
		"bea@people.example": {link},
		"ben@people.example": {link, "A deal waits for your company’s answer", "Final figures wait for your company’s confirmation"},
	}
	got := map[string][]string{}
	for _, l := range post.all() {
		got[l.to] = append(got[l.to], l.subject)
	}
	if !maps.EqualFunc(got, want, slices.Equal[[]string]) {
		t.Errorf("mailed %q, want %q", got, want)
	}
	for _, l := range post.all() {
		for _, secret := range world.Deal.secrets() {
			if strings.Contains(strings.ToLower(l.read), secret) {
				t.Errorf("a mail says %q:\n%s", secret, l.read)
			}
		}
	}
}

// postOffice is a real SMTP server that hands out over HTTP what it took.
type postOffice struct {
	smtp, url string

	mu   sync.Mutex
	took []letter
	news chan struct{} // closed by the next letter
}

// letter is a mail that was taken.
type letter struct {
	to, subject string
	text        string // its plain part
	read        string // all of it as it came, and decoded
}

func newPostOffice(t *testing.T) *postOffice {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	post := &postOffice{smtp: listener.Addr().String(), news: make(chan struct{})}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &postSession{post: post}, nil }))
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	counter := httptest.NewServer(post)
	post.url = counter.URL
	t.Cleanup(func() {
		counter.Close()
		_ = server.Close()
		<-ended
	})
	return post
}

// ServeHTTP answers /ADDRESS/NUMBER with the text of that letter to the address, the first being 1. It waits until that
// has come or the caller leaves.
func (p *postOffice) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	address, text, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	number, err := strconv.Atoi(text)
	if err != nil || number < 1 {
		http.NotFound(w, r)
		return
	}
	for {
		p.mu.Lock()
		news := p.news
		p.mu.Unlock()
		if letters := p.to(address); len(letters) >= number {
			_, _ = io.WriteString(w, letters[number-1].text)
			return
		}
		select {
		case <-news:
		case <-r.Context().Done():
			return
		}
	}
}

func (p *postOffice) take(l letter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.took = append(p.took, l)
	close(p.news)
	p.news = make(chan struct{})
}

func (p *postOffice) all() []letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.took)
}

// to are the letters to an address in the order in which they came.
func (p *postOffice) to(address string) []letter {
	return slices.DeleteFunc(p.all(), func(l letter) bool { return l.to != address })
}

type postSession struct {
	post *postOffice
	to   string
}

func (s *postSession) Reset()                               {}
func (s *postSession) Logout() error                        { return nil }
func (s *postSession) Mail(string, *smtp.MailOptions) error { return nil }

func (s *postSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return nil
}

func (s *postSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	mail, err := gomail.EMLToMsgFromString(string(raw))
	if err != nil {
		return err
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(strings.Join(mail.GetGenHeader(gomail.HeaderSubject), ""))
	if err != nil {
		return err
	}
	l := letter{to: s.to, subject: subject, read: string(raw) + "\n" + subject}
	for _, part := range mail.GetParts() {
		text, err := part.GetContent()
		if err != nil {
			return err
		}
		l.read += "\n" + string(text)
		if part.GetContentType() == gomail.TypeTextPlain {
			l.text = string(text)
		}
	}
	s.post.take(l)
	return nil
}
