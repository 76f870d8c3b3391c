package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/dealreg/dealreg/pkg/roster"
)

// PostmanConfig says through which server mails go.
type PostmanConfig struct {
	// SMTP is smtps://user@host:465, or smtp://user@host:587, which needs STARTTLS unless the host is the loopback.
	// Without a user nobody signs in. A password does not belong in it.
	SMTP      string
	Password  string
	From      string         // the sender: one plain address
	PublicURL string         // where people reach the portal, such as https://deals.contoso.example
	Deadline  time.Duration  // bounds one attempt from the dial to the last answer; 0 is 30 s
	Roots     *x509.CertPool // who may vouch for the server; nil is whom the system trusts
	Now       func() time.Time
}

// Postman writes mails and hands them to one server. It is safe for concurrent use.
type Postman struct {
	cfg    PostmanConfig
	server *url.URL
	port   int
	public string
}

// NewPostman checks the configuration. The server need not be there.
func NewPostman(cfg PostmanConfig) (*Postman, error) {
	server, err := url.Parse(cfg.SMTP)
	if err != nil || server.Hostname() == "" || (server.Scheme != "smtp" && server.Scheme != "smtps") ||
		strings.Trim(server.Path, "/") != "" || server.RawQuery != "" {
		return nil, errors.New("the SMTP server: write it as smtps://user@host:465 or smtp://user@host:587")
	}
	if _, has := server.User.Password(); has {
		return nil, errors.New("the SMTP server: its address holds a password, which others see: put it into a file")
	}
	if !roster.IsEmail(cfg.From) {
		return nil, errors.New("the sender of mails: write one plain address, such as dealreg@contoso.example")
	}
	public, err := url.Parse(cfg.PublicURL)
	if err != nil || public.Host == "" || (public.Scheme != "http" && public.Scheme != "https") {
		return nil, errors.New("the portal's address in mails: write it as https://deals.contoso.example")
	}
	p := &Postman{cfg: cfg, server: server, public: strings.TrimSuffix(public.String(), "/")}
	p.port = map[string]int{"smtp": 587, "smtps": 465}[server.Scheme]
	if text := server.Port(); text != "" {
		if p.port, err = strconv.Atoi(text); err != nil || p.port < 1 || p.port > 65535 {
			return nil, errors.New("the SMTP server: its port is none")
		}
	}
	if p.cfg.Deadline == 0 {
		p.cfg.Deadline = 30 * time.Second
	}
	if p.cfg.Now == nil {
		p.cfg.Now = time.Now //nolint:forbidigo // the clock of the running service
	}
	return p, nil
}

// SendLink mails a sign-in link to the person whom it signs in. The link is in the mail and nowhere else.
func (p *Postman) SendLink(ctx context.Context, to roster.Person, token string, expires time.Time) error {
	if to.Email == "" {
		return errors.New("the person has no e-mail address")
	}
	m, err := p.write(letter{kind: kindLink, to: to, path: "/sign-in/" + url.PathEscape(token), until: expires, id: p.cfg.Now().String() + token})
	if err != nil {
		return err
	}
	c, err := p.call(ctx)
	if err != nil {
		return err
	}
	defer c.hangUp()
	if err := c.send(m); err != nil && !m.IsDelivered() {
		return outcomeOf(err)
	}
	return nil
}

// call is a conversation with the server that ends with its deadline, whatever the server does.
type call struct {
	client *gomail.Client
	smtp   *smtp.Client
	end    context.CancelFunc
}

// call dials and signs in. An error says that the server is in trouble, not that a mail is.
func (p *Postman) call(ctx context.Context) (*call, error) {
	ctx, end := context.WithTimeout(ctx, p.cfg.Deadline)
	c := &call{end: end}
	var err error
	if c.client, err = gomail.NewClient(p.server.Hostname(), p.options(ctx)...); err == nil {
		c.smtp, err = c.client.DialToSMTPClientWithContext(ctx)
	}
	if err != nil {
		end()
		return nil, fmt.Errorf("reach the SMTP server: %w", err)
	}
	return c, nil
}

func (p *Postman) options(ctx context.Context) []gomail.Option {
	secure := &tls.Config{ServerName: p.server.Hostname(), MinVersion: tls.VersionTLS12, RootCAs: p.cfg.Roots}
	options := []gomail.Option{
		gomail.WithPort(p.port), gomail.WithTimeout(p.cfg.Deadline), gomail.WithTLSConfig(secure), gomail.WithoutNoop(),
		// The library waits for a greeting for ever: here the connection ends with ctx.
		// It has no brackets for IPv6 either.
		gomail.WithDialContextFunc(func(dialing context.Context, network, _ string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(dialing, network, net.JoinHostPort(p.server.Hostname(), strconv.Itoa(p.port)))
			if err != nil {
				return nil, err
			}
			context.AfterFunc(ctx, func() { _ = conn.Close() })
			if p.server.Scheme != "smtps" {
				return conn, nil
			}
			encrypted := tls.Client(conn, secure)
			return encrypted, encrypted.HandshakeContext(dialing)
		}),
	}
	signIn := gomail.SMTPAuthAutoDiscover
	switch {
	case p.server.Scheme == "smtps":
		options = append(options, gomail.WithTLSPolicy(gomail.TLSOpportunistic)) // it is encrypted already
	case p.onLoopback():
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
		signIn = gomail.SMTPAuthPlainNoEnc
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if user := p.server.User.Username(); user != "" {
		options = append(options, gomail.WithSMTPAuth(signIn), gomail.WithUsername(user), gomail.WithPassword(p.cfg.Password))
	}
	return options
}

func (p *Postman) onLoopback() bool {
	host := p.server.Hostname()
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c *call) send(m *gomail.Msg) error { return c.client.SendWithSMTPClient(c.smtp, m) }

// hangUp ends the conversation.
func (c *call) hangUp() {
	_ = c.client.CloseWithSMTPClient(c.smtp)
	c.end()
}

// outcome is what an attempt to hand a mail over came to. As an error it tells the reason's kind and nothing that the
// server said, which may name people.
type outcome struct {
	result result
	why    string
}

type result int

const (
	taken     result = iota
	refused          // for good
	postponed        // the server has not taken it, and may later
	inDoubt          // the mail was handed over and nobody answered
	noSender         // the server takes nothing from us
)

func (o outcome) Error() string { return "the SMTP server: " + o.why }

// outcomeOf reads the error of a call's send.
func outcomeOf(err error) outcome {
	failure, is := errors.AsType[*gomail.SendError](err)
	if !is {
		return outcome{postponed, "no answer"}
	}
	code, when := failure.ErrorCode(), failure.Reason.String()
	why := when
	if code != 0 {
		why = fmt.Sprintf("%s: %d %s", when, code, failure.EnhancedStatusCode())
	}
	why = strings.TrimSpace(why)
	switch {
	case failure.Reason == gomail.ErrSMTPMailFrom && code >= 500:
		return outcome{noSender, why}
	case code >= 500:
		return outcome{refused, why}
	case failure.Reason == gomail.ErrSMTPDataClose && code == 0:
		return outcome{inDoubt, why}
	}
	return outcome{postponed, why}
}
