package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/lifecycle"
)

func TestMail_RunsOnlyWithAServer(t *testing.T) {
	t.Parallel()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mails := func(f mailFlags, services ...string) (bool, error) {
		nowhere := system{Data: t.TempDir(), Listen: "127.0.0.1:8080", NATSURL: "nats://127.0.0.1:1", ClickhouseDSN: "clickhouse://127.0.0.1:1/nowhere", mailFlags: f}
		a, err := assemble(t.Context(), nowhere, zap.NewNop(), nil, services)
		if err != nil {
			return false, err
		}
		defer a.close()
		return slices.ContainsFunc(a.parts, func(p lifecycle.Part) bool { return p.Name == serviceMail }), nil
	}
	full := mailFlags{SMTPURL: "smtps://user@mail.example", SMTPPasswordFile: password, MailFrom: "dealreg@contoso.example"}
	if on, err := mails(mailFlags{}, allServices...); on || err != nil {
		t.Errorf("without a server: %t %v", on, err)
	}
	if on, err := mails(full, allServices...); !on || err != nil {
		t.Errorf("with a server: %t %v", on, err)
	}
	if on, err := mails(full, serviceMail); !on || err != nil {
		t.Errorf("alone: %t %v", on, err)
	}
	for name, f := range map[string]mailFlags{
		"--smtp-url":  {MailFrom: "dealreg@contoso.example"},
		"--mail-from": {SMTPURL: "smtps://mail.example"},
		"password":    {SMTPURL: "smtps://mail.example", MailFrom: "dealreg@contoso.example", SMTPPasswordFile: password + "x"},
	} {
		if _, err := mails(f, serviceMail); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("wanted to hear of %s: %v", name, err)
		}
	}
}
