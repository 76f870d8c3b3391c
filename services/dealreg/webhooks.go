package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dealreg/dealreg/pkg/webhook"
	"github.com/dealreg/dealreg/services/webhooks"
)

// webhookFlags say where webhooks may go: without any, to public addresses over HTTPS only.
type webhookFlags struct {
	WebhookAllow     []netip.Prefix `placeholder:"CIDR" help:"A network to which webhooks may go though it is not public, such as 10.1.0.0/16. Repeatable." json:"webhook-allow"`
	WebhookAllowHTTP bool           `name:"webhook-allow-http" help:"Send webhooks to http:// addresses too." json:"webhook-allow-http"`
	WebhookProxy     string         `placeholder:"URL" help:"An egress proxy through which webhooks go. It must refuse private addresses itself." json:"webhook-proxy"`
	WebhookIdle      int            `name:"webhook-idle" placeholder:"N" default:"1000" help:"Connections to all receivers that are kept between webhooks. Each is an open file, as is each webhook on its way: at most two for an endpoint." json:"webhook-idle"`
}

// newWebhooks wires the service of webhooks.
func (a *assembly) newWebhooks() (*webhooks.Service, error) {
	operatorKey, err := keyFile(filepath.Join(a.Data, "webhook.key"), "key for webhook secrets", "every endpoint needs a new secret")
	if err != nil {
		return nil, err
	}
	key, err := webhook.NewSealingKey(operatorKey)
	if err != nil {
		return nil, err
	}
	if a.WebhookIdle < 0 {
		return nil, errors.New("--webhook-idle: write 1 or more, or 0 for what it is when left out")
	}
	guard := webhook.Guard{Allow: a.WebhookAllow, AllowHTTP: a.WebhookAllowHTTP}
	if a.WebhookProxy != "" {
		if guard.Proxy, err = url.Parse(a.WebhookProxy); err != nil {
			return nil, errors.New("--webhook-proxy: write it as http://host:port or https://host:port")
		}
	}
	return webhooks.New(webhooks.Config{
		NATS: a.nc, Warehouse: a.house, Key: key, Guard: guard, Replicas: a.Replicas, IdleConnections: a.WebhookIdle,
		Health: a.health, Log: a.log, Metrics: a.server.Metrics, Now: time.Now,
	})
}

// keyFile reads a key of 32 bytes from a file of 64 hexadecimal digits, and makes it on the first start. The error names
// what it is for and what is lost without it.
func keyFile(path, what, lost string) ([]byte, error) {
	text, err := os.ReadFile(path) // #nosec G304 -- the operator names the folder
	if errors.Is(err, os.ErrNotExist) {
		if err = newKeyFile(path); err == nil {
			text, err = os.ReadFile(path) // #nosec G304 -- as above
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) < 32 {
		return nil, fmt.Errorf("%s: %s holds no 64 hexadecimal digits: restore it from the backup, or %s", what, path, lost)
	}
	return key, nil
}

// newKeyFile makes the file with a fresh key, unless another process does at the same time. It is whole and on the disk
// when it returns: what the key protects outlives a cut of power, and so must the key.
func newKeyFile(path string) error {
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // never fails (crypto/rand)
	folder := filepath.Dir(path)
	file, err := os.CreateTemp(folder, filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // gone already when all went well
	_, err = file.WriteString(hex.EncodeToString(fresh) + "\n")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Link(file.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return errors.Join(syncFolder(folder), syncFolder(filepath.Dir(folder)))
}

// syncFolder brings the names in the folder to the disk.
func syncFolder(path string) error {
	folder, err := os.Open(path) // #nosec G304 -- the operator names it
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
