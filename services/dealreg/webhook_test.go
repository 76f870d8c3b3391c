package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/webhook"
)

func TestWebhookVerify_TellsWhetherTheSignatureIsRight(t *testing.T) {
	t.Parallel()
	const body = "{\"type\":\"dealreg.deal.won\"}\n"
	secret, pair := webhook.NewSecret(), webhook.NewPrivateKey()
	public, _ := pair.Public()
	for name, c := range map[string]struct {
		age    time.Duration
		secret string
		body   string
		code   int
		says   string
	}{
		"right":               {0, secret.Reveal(), body, 0, "the signature is right"},
		"right by public key": {0, public.String(), body, 0, "the signature is right"},
		"another body":        {0, secret.Reveal(), strings.TrimSpace(body), exitFailed, "no signature matches"},
		"another secret":      {0, webhook.NewSecret().Reveal(), body, exitFailed, "no signature matches"},
		"old":                 {24 * time.Hour, secret.Reveal(), body, exitFailed, "the signature is right, but"},
		"old and wrong":       {24 * time.Hour, webhook.NewSecret().Reveal(), body, exitFailed, "no signature matches"},
		"no secret":           {0, "whsec_", body, exitWrongUse, "--secret: a secret is whsec_"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Signed here and not before: a parallel test may wait for its turn longer than a signature is believed.
			header, err := webhook.Sign("deal:1", time.Now().Add(-c.age), []byte(body), secret, pair)
			if err != nil {
				t.Fatal(err)
			}
			file := writeFile(t, "body.json", c.body)
			out, code := result(t, "webhook", "verify", "--secret", c.secret, "--body", file, "--id", header.Get(webhook.HeaderID),
				"--timestamp", header.Get(webhook.HeaderTimestamp), "--signature", header.Get(webhook.HeaderSignature))
			if code != c.code {
				t.Errorf("exit code %d", code)
			}
			contains(t, out, c.says)
		})
	}
}

func TestWebhookListen_PrintsWhatArrivesAndWhetherItIsVerified(t *testing.T) {
	t.Parallel()
	old, secret := webhook.NewSecret(), webhook.NewSecret()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- listenForWebhooks(ctx, listener, writer, []webhook.Verifier{old, secret}) }()
	lines := make(chan string, 100)
	go func() {
		for scan := bufio.NewScanner(reader); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	contains(t, <-lines, "listening on http://127.0.0.1:")
	contains(t, <-lines, "--webhook-allow-http")

	deliver := func(body string, by webhook.Secret) int {
		t.Helper()
		header, err := webhook.Sign("deal:1", time.Now(), []byte(body), by)
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+listener.Addr().String()+"/hook", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header = header
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	if status := deliver(`{"type":"dealreg.deal.won"}`, secret); status != http.StatusNoContent {
		t.Errorf("answers %d", status)
	}
	contains(t, <-lines, "dealreg.deal.won  deal:1  verified")
	contains(t, <-lines, `{"type":"dealreg.deal.won"}`)
	if status := deliver("\x1b[2J", webhook.NewSecret()); status != http.StatusUnauthorized {
		t.Errorf("answers %d to what does not verify", status)
	}
	contains(t, <-lines, "no event  deal:1  NOT VERIFIED: no signature matches")
	contains(t, <-lines, `\x1b[2J`)
	if status := deliver(strings.Repeat(" ", mostWebhookBytes+1), secret); status != http.StatusRequestEntityTooLarge {
		t.Errorf("answers %d to too much", status)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
