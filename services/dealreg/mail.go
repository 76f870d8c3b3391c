package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/dealreg/dealreg/services/directory"
	"github.com/dealreg/dealreg/services/mail"
)

// mailFlags say how mails go out: without a server none do, and everything else works.
type mailFlags struct {
	SMTPURL          string `name:"smtp-url" placeholder:"URL" help:"Server that takes mails: smtps://user@host:465, or smtp://user@host:587 with STARTTLS. Without one no mails are sent." json:"smtp-url"`
	SMTPPasswordFile string `name:"smtp-password-file" placeholder:"FILE" help:"File that holds the user's password and nothing else." json:"smtp-password-file"`
	MailFrom         string `placeholder:"ADDRESS" help:"Sender of the mails, such as dealreg@contoso.example." json:"mail-from"`
	PublicURL        string `name:"public-url" placeholder:"URL" help:"Where people reach the portal: links in mails begin with it. It is http://ADDR of --listen when left out." json:"public-url"`
}

// newPostman is the mail server of the flags, nil when they name none. It need not answer yet.
func (a *assembly) newPostman() (*mail.Postman, error) {
	if a.SMTPURL == "" {
		if a.SMTPPasswordFile != "" || a.MailFrom != "" {
			return nil, wrongUse{errors.New("mails without a server: give --smtp-url too, or neither --smtp-password-file nor --mail-from")}
		}
		return nil, nil //nolint:nilnil // no mails is a way to run
	}
	cfg := mail.PostmanConfig{SMTP: a.SMTPURL, From: a.MailFrom, PublicURL: a.PublicURL, Now: time.Now}
	if cfg.PublicURL == "" {
		cfg.PublicURL = "http://" + a.Listen
	}
	if a.SMTPPasswordFile != "" {
		text, err := os.ReadFile(a.SMTPPasswordFile)
		if err != nil {
			return nil, fmt.Errorf("SMTP password: %w", err)
		}
		cfg.Password = strings.TrimSpace(string(text))
	}
	p, err := mail.NewPostman(cfg)
	if err != nil {
		return nil, wrongUse{fmt.Errorf("mails (--smtp-url, --mail-from, --public-url): %w", err)}
	}
	return p, nil
}

// newMailer is what sends sign-in links; nil when no mails are sent.
func (a *assembly) newMailer() (directory.Mailer, error) {
	p, err := a.newPostman()
	if p == nil {
		return nil, err // not a nil *mail.Postman in an interface
	}
	return p, nil
}

// addMail wires the service of mails; there is none to run when none are sent.
func (a *assembly) addMail() (serviceRun, error) {
	p, err := a.newPostman()
	if p == nil {
		return nil, err
	}
	s, err := mail.New(mail.Config{
		NATS: a.nc, Roster: a.roster, Postman: p, Replicas: a.Replicas,
		Health: a.health, Log: a.log, Metrics: a.server.Metrics, Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	return s.Run, nil
}
