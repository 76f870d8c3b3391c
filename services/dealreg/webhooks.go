package main

import (
	"errors"
	"net/netip"
	"net/url"
	"path/filepath"
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

// addWebhooks wires the service of webhooks.
func (a *assembly) addWebhooks() (serviceRun, error) {
	operatorKey, err := keyFile(filepath.Join(a.Data, "webhook.key"), "key for webhook secrets", "every endpoint needs a new secret")
	if err != nil {
		return nil, err
	}
	key, err := webhook.NewSealingKey(operatorKey)
	if err != nil {
		return nil, err
	}
	if a.WebhookIdle < 0 {
		return nil, wrongUse{errors.New("--webhook-idle: write 1 or more, or 0 for what it is when left out")}
	}
	guard := webhook.Guard{Allow: a.WebhookAllow, AllowHTTP: a.WebhookAllowHTTP}
	if a.WebhookProxy != "" {
		if guard.Proxy, err = url.Parse(a.WebhookProxy); err != nil {
			return nil, wrongUse{errors.New("--webhook-proxy: write it as http://host:port or https://host:port")}
		}
	}
	s, err := webhooks.New(webhooks.Config{
		NATS: a.nc, Warehouse: a.house, Key: key, Guard: guard, Replicas: a.Replicas, IdleConnections: a.WebhookIdle,
		Health: a.health, Log: a.log, Metrics: a.server.Metrics, Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	s.Routes(a.server.API)
	return s.Run, nil
}
