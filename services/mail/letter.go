package mail

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	htmltemplate "html/template"
	netmail "net/mail"
	"strconv"
	"strings"
	texttemplate "text/template"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/dealreg/dealreg/pkg/roster"
)

//go:embed messages/*.json templates/*
var files embed.FS

var (
	texts     = map[roster.Language]map[string]string{roster.English: readTexts("en"), roster.German: readTexts("de")}
	plainBody = texttemplate.Must(texttemplate.ParseFS(files, "templates/mail.txt"))
	htmlBody  = htmltemplate.Must(htmltemplate.ParseFS(files, "templates/mail.html"))
)

func readTexts(language string) map[string]string {
	text, err := files.ReadFile("messages/" + language + ".json")
	var messages map[string]string
	if err == nil {
		err = json.Unmarshal(text, &messages)
	}
	if err != nil {
		panic("the messages of mails: " + err.Error()) // they are in the binary
	}
	return messages
}

// letter is all that a mail may say: what is asked and where. There is no place in it for a customer, an amount or a
// company.
type letter struct {
	kind     kind
	to       roster.Person
	path     string // in the portal
	reminder bool
	count    int       // of a digest: how many deals wait
	until    time.Time // of a link
	id       string    // the same for every repeat of the same mail
}

// page is what the templates show.
type page struct {
	Language, Subject, Hello, Asks, Act, Link, Why string
}

// write makes the mail.
func (p *Postman) write(l letter) (*gomail.Msg, error) {
	body := l.page(p.public)
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := m.From(p.cfg.From); err != nil {
		return nil, fmt.Errorf("write a mail: %w", err)
	}
	m.ToMailAddress(&netmail.Address{Name: l.to.Name, Address: l.to.Email})
	m.Subject(body.Subject)
	m.SetDateWithValue(p.cfg.Now())
	sum := sha256.Sum256([]byte(l.id))
	m.SetMessageIDWithValue(hex.EncodeToString(sum[:16]) + p.cfg.From[strings.LastIndexByte(p.cfg.From, '@'):])
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "All")
	var plain, html strings.Builder
	if err := plainBody.Execute(&plain, body); err != nil {
		return nil, fmt.Errorf("write a mail: %w", err)
	}
	if err := htmlBody.Execute(&html, body); err != nil {
		return nil, fmt.Errorf("write a mail: %w", err)
	}
	m.SetBodyString(gomail.TypeTextPlain, plain.String())
	m.AddAlternativeString(gomail.TypeTextHTML, html.String())
	return m, nil
}

func (l letter) page(public string) page {
	messages, known := texts[l.to.Language]
	if !known {
		messages = texts[roster.English]
	}
	text := func(key string) string {
		return strings.NewReplacer("{name}", l.to.Name, "{public}", public, "{count}", strconv.Itoa(l.count),
			"{until}", l.until.UTC().Format("2006-01-02 15:04 UTC")).Replace(messages[key])
	}
	name := string(l.kind)
	asks := text(name + ".asks")
	if l.kind == kindDigest && l.count == 1 {
		asks = text("digest.asks.one")
	}
	subject := text(name + ".subject")
	if l.reminder {
		subject = text(name + ".reminder")
	}
	return page{
		Language: text("language"), Subject: subject, Hello: text("hello"), Asks: asks, Act: text(name + ".act"),
		Link: public + l.path, Why: text(name + ".why"),
	}
}
