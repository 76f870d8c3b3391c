package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/webhook"
)

// webhookCommand is for those who receive webhooks. It needs no running system.
type webhookCommand struct {
	Listen webhookListen `cmd:"" help:"Print each webhook that arrives, and whether its signature is right."`
	Verify webhookVerify `cmd:"" help:"Check the signature of one webhook: exit 0 when it is right, 1 when it is not."`
}

type webhookListen struct {
	Port   int      `help:"The port of this machine to listen on; 0 takes a free one."`
	Secret []string `placeholder:"whsec_..." help:"The endpoint's secret, or its public key (whpk_...). Repeat it during a rotation; without one nothing is checked."`
}

func (c webhookListen) Run(ctx context.Context) error {
	by, err := parseVerifiers(c.Secret)
	if err != nil {
		return err
	}
	if c.Port == 0 {
		if c.Port, err = embedded.FreePort(); err != nil {
			return err
		}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(embedded.Loopback, strconv.Itoa(c.Port)))
	if err != nil {
		return fmt.Errorf("listen for webhooks: %w", err)
	}
	return listenForWebhooks(ctx, listener, os.Stdout, by)
}

func parseVerifiers(texts []string) ([]webhook.Verifier, error) {
	var by []webhook.Verifier
	for _, text := range texts {
		v, err := webhook.ParseVerifier(text)
		if err != nil {
			return nil, wrongUse{fmt.Errorf("--secret: %w", err)}
		}
		by = append(by, v)
	}
	return by, nil
}

// mostWebhookBytes is more than any webhook of dealreg has.
const mostWebhookBytes = 64 << 10

// listenForWebhooks prints what arrives until ctx ends. It answers 204, or 401 to what does not verify.
func listenForWebhooks(ctx context.Context, listener net.Listener, out io.Writer, by []webhook.Verifier) error {
	arrived := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostWebhookBytes))
		if err != nil {
			http.Error(w, "the body is too large, or was cut off", http.StatusRequestEntityTooLarge)
			return
		}
		status, verdict := http.StatusNoContent, "not checked"
		if len(by) > 0 {
			verdict = "verified"
			if err := webhook.Verify(r.Header, body, time.Now(), by...); err != nil {
				status, verdict = http.StatusUnauthorized, "NOT VERIFIED: "+err.Error()
			}
		}
		fmt.Fprintf(out, "%s  %s  %s\n          %s\n", time.Now().Format(time.TimeOnly), describeWebhook(r.Header, body), verdict, webhook.Readable(body))
		w.WriteHeader(status)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", arrived)
	server := &http.Server{Handler: mux, ReadTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Fprintf(out, "listening on http://%s/\n", listener.Addr())
	fmt.Fprintln(out, "a dealreg on this machine delivers here with --webhook-allow 127.0.0.0/8 --webhook-allow-http")
	if len(by) == 0 {
		fmt.Fprintln(out, "no signature is checked: give --secret")
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("listen for webhooks: %w", err)
	}
	return nil
}

// describeWebhook names the event, as far as it can be read.
func describeWebhook(h http.Header, body []byte) string {
	var event struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(body, &event); err != nil || event.Type == "" {
		event.Type = "no event"
	}
	return webhook.Readable([]byte(event.Type)) + "  " + webhook.Readable([]byte(h.Get(webhook.HeaderID)))
}

type webhookVerify struct {
	Secret    []string `required:"" placeholder:"whsec_..." help:"The endpoint's secret, or its public key (whpk_...). Repeat it during a rotation."`
	Body      string   `default:"-" placeholder:"FILE" help:"The body, byte for byte as it came; - reads it from standard input."`
	ID        string   `name:"id" required:"" help:"The header webhook-id."`
	Timestamp string   `required:"" help:"The header webhook-timestamp."`
	Signature string   `required:"" help:"The header webhook-signature."`
}

func (c webhookVerify) Run() error {
	by, err := parseVerifiers(c.Secret)
	if err != nil {
		return err
	}
	body, err := c.read()
	if err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	h := http.Header{}
	h.Set(webhook.HeaderID, c.ID)
	h.Set(webhook.HeaderTimestamp, c.Timestamp)
	h.Set(webhook.HeaderSignature, c.Signature)
	err = webhook.Verify(h, body, time.Now(), by...)
	if errors.Is(err, webhook.ErrTooOld) || errors.Is(err, webhook.ErrTooNew) {
		// Whoever looks into an attempt of yesterday wants to know about its signature too.
		seconds, _ := strconv.ParseInt(c.Timestamp, 10, 64) // Verify has read it
		if webhook.Verify(h, body, time.Unix(seconds, 0), by...) == nil {
			return fmt.Errorf("the signature is right, but a receiver would refuse it: %w", err)
		}
		err = webhook.ErrSignature
	}
	if err != nil {
		return err
	}
	fmt.Println("the signature is right")
	return nil
}

func (c webhookVerify) read() ([]byte, error) {
	if c.Body == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(c.Body)
}
