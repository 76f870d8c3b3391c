package mail

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"maps"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/roster"
)

var ada = roster.Person{ID: newID(), Name: "Ada Example", Email: "ada@people.example", Language: roster.English}

func TestPostman_RefusesWhatCannotWorkOrGivesAPasswordAway(t *testing.T) {
	t.Parallel()
	good := PostmanConfig{SMTP: "smtps://ada@mail.example:465", From: "dealreg@registry.example", PublicURL: "https://deals.registry.example"}
	if _, err := NewPostman(good); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*PostmanConfig){
		"no server":            func(c *PostmanConfig) { c.SMTP = "" },
		"no scheme":            func(c *PostmanConfig) { c.SMTP = "mail.example:25" },
		"web address":          func(c *PostmanConfig) { c.SMTP = "https://mail.example" },
		"password":             func(c *PostmanConfig) { c.SMTP = "smtps://ada:secret@mail.example" },
		"path":                 func(c *PostmanConfig) { c.SMTP = "smtps://mail.example/x" },
		"port":                 func(c *PostmanConfig) { c.SMTP = "smtps://mail.example:70000" },
		"no sender":            func(c *PostmanConfig) { c.From = "" },
		"sender with a name":   func(c *PostmanConfig) { c.From = "Deals <dealreg@registry.example>" },
		"sender with a header": func(c *PostmanConfig) { c.From = "dealreg@registry.example\r\nBcc: eve@evil.example" },
		"no portal":            func(c *PostmanConfig) { c.PublicURL = "" },
		"portal without host":  func(c *PostmanConfig) { c.PublicURL = "deals.registry.example" },
	} {
		cfg := good
		change(&cfg)
		if _, err := NewPostman(cfg); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// certificates are those of a server at 127.0.0.1, and who vouches for them.
func certificates(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return &tls.Config{Certificates: server.TLS.Certificates, MinVersion: tls.VersionTLS12}, roots
}

func TestPostman_SignsInByTLSAndOnlyToAServerThatItTrusts(t *testing.T) {
	t.Parallel()
	secure, roots := certificates(t)
	inbox := newInbox(t, func(i *inbox) { i.secure, i.login = secure, "user:right" })
	send := func(password string, roots *x509.CertPool) error {
		p, err := NewPostman(PostmanConfig{
			SMTP: "smtps://user@" + inbox.address, Password: password, From: "dealreg@registry.example", PublicURL: "http://127.0.0.1:8080", Roots: roots,
		})
		if err != nil {
			t.Fatal(err)
		}
		return p.SendLink(t.Context(), ada, "drl_token", time.Unix(1_800_000_000, 0))
	}
	if err := send("right", roots); err != nil {
		t.Error(err)
	}
	if err := send("wrong", roots); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("with a wrong password: %v", err)
	}
	if err := send("right", nil); err == nil {
		t.Error("it trusts a server for which nobody vouches")
	}
	if got := inbox.all(); len(got) != 1 || !strings.Contains(got[0].text, "http://127.0.0.1:8080/sign-in/drl_token\n") || !strings.Contains(got[0].text, "until 2027-01-15 08:00 UTC") {
		t.Errorf("mails %+v", got)
	}
}

// TestPostman_SendsNothingInTheClear has a server on another address than the loopback that offers no STARTTLS.
func TestPostman_SendsNothingInTheClear(t *testing.T) {
	t.Parallel()
	inbox := newInbox(t)
	_, port, _ := net.SplitHostPort(inbox.address)
	for _, host := range []string{"0.0.0.0", "[::ffff:0:0]"} { // both reach this machine and are not its loopback
		p, err := NewPostman(PostmanConfig{SMTP: "smtp://" + host + ":" + port, From: "dealreg@registry.example", PublicURL: "https://deals.registry.example", Deadline: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.SendLink(t.Context(), ada, "drl_token", time.Unix(0, 0)); err == nil || !strings.Contains(err.Error(), "STARTTLS") {
			t.Errorf("%s: without TLS: %v", host, err)
		}
	}
	if got := inbox.all(); len(got) > 0 {
		t.Errorf("mails %+v", got)
	}
}

// TestPostman_EndsInTimeWithASilentServer has a server that opens a connection and says nothing, for which the library
// alone waits for ever.
func TestPostman_EndsInTimeWithASilentServer(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	p, err := NewPostman(PostmanConfig{
		SMTP: "smtp://" + listener.Addr().String(), From: "dealreg@registry.example", PublicURL: "https://deals.registry.example", Deadline: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.SendLink(t.Context(), ada, "drl_token", time.Unix(0, 0)); err == nil {
		t.Error("a server that says nothing took a mail")
	}
}

func TestLetter_NoNameBreaksOutOfItsPlace(t *testing.T) {
	t.Parallel()
	inbox := newInbox(t)
	p, err := NewPostman(PostmanConfig{SMTP: "smtp://" + inbox.address, From: "dealreg@registry.example", PublicURL: "https://deals.registry.example"})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{
		"Eve\r\nBcc: all@evil.example", "Eve\nX-Evil: 1", `Eve" <other@evil.example>, "Eve`, "<script>alert(1)</script>", "Zoë {count} {until} Öztürk",
		"=?utf-8?q?Eve=0ABcc:_all@evil.example?=", "Eve\x00", strings.Repeat("Eve ", 200), "\r\n\r\nHello", "{{.Link}}",
	}
	for _, name := range names {
		to := ada
		to.Name = name
		if err := p.SendLink(t.Context(), to, "drl_token", time.Unix(0, 0)); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	got := inbox.all()
	if len(got) != len(names) {
		t.Fatalf("%d mails of %d", len(got), len(names))
	}
	want := []string{
		"Auto-Submitted", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To", "X-Auto-Response-Suppress",
	}
	for _, m := range got {
		if keys := slices.Sorted(maps.Keys(m.header)); !slices.Equal(keys, want) {
			t.Errorf("headers %q", keys)
		}
		to, err := m.header.AddressList("To")
		if err != nil || len(to) != 1 || to[0].Address != ada.Email || m.to != ada.Email {
			t.Errorf("to %v %v, envelope %s", to, err, m.to)
		}
		if strings.Contains(m.html, "<script") || strings.Count(m.html, "<a ") != 1 || m.subject != "Your link to sign in" {
			t.Errorf("subject %q and body\n%s", m.subject, m.html)
		}
		if m.contentType != "multipart/alternative" || strings.Contains(m.html, "<img") || strings.Contains(m.html, "src=") {
			t.Errorf("%s\n%s", m.contentType, m.html)
		}
	}
}

func TestTexts_AreTheSameInBothLanguages(t *testing.T) {
	t.Parallel()
	english, german := texts[roster.English], texts[roster.German]
	if want, got := slices.Sorted(maps.Keys(english)), slices.Sorted(maps.Keys(german)); !slices.Equal(want, got) {
		t.Errorf("English has %q, German %q", want, got)
	}
	p, err := NewPostman(PostmanConfig{SMTP: "smtp://127.0.0.1:1", From: "dealreg@registry.example", PublicURL: "https://deals.registry.example"})
	if err != nil {
		t.Fatal(err)
	}
	for _, language := range []roster.Language{roster.English, roster.German, "xx"} {
		for _, k := range []kind{kindAccept, kindAttest, kindCorrect, kindDigest, kindLink} {
			for _, reminder := range []bool{false, k == kindAccept || k == kindAttest || k == kindCorrect} {
				for count := range 3 {
					to := ada
					to.Language = language
					shown := letter{kind: k, to: to, path: "/x", reminder: reminder, count: count}.page(p.public)
					text, err := json.Marshal(shown)
					if err != nil || strings.Contains(string(text), `""`) || strings.ContainsAny(string(text[1:len(text)-1]), "{}") {
						t.Errorf("%s %s: %s %v", language, k, text, err)
					}
				}
			}
		}
	}
}
