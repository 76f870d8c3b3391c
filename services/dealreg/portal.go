package main

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/dealreg/dealreg/services/portal"
	"github.com/dealreg/dealreg/services/portal/api"
)

// portalFlags are what the pages need beside the engines.
type portalFlags struct {
	APIURL        string `name:"api-url" placeholder:"URL" help:"Address of the API that the portal shows; its own process' one when left out." json:"api-url"`
	SecureCookies bool   `name:"portal-secure-cookies" help:"People reach the portal by TLS, through a proxy: their browsers send its cookie by nothing else. So it is with a --public-url that begins with https." json:"portal-secure-cookies"`
}

// behindTLS tells whether people reach the portal by TLS.
func (s *system) behindTLS() bool {
	public, err := url.Parse(s.PublicURL)
	return s.SecureCookies || err == nil && public.Scheme == "https"
}

// addPortal wires the pages over the API of the flags, or over that of this process.
func (a *assembly) addPortal() (serviceRun, error) {
	base := &url.URL{Scheme: "http", Host: "dealreg.internal"}
	var transport http.RoundTripper = api.InProcess{Handler: a.server.Handler()}
	if a.APIURL != "" {
		var err error
		if base, err = url.Parse(a.APIURL); err != nil || base.Host == "" {
			return nil, wrongUse{fmt.Errorf("--api-url %q is no address: write it like http://127.0.0.1:8080", a.APIURL)}
		}
		transport = http.DefaultTransport
	}
	openID, err := a.openID()
	if err != nil {
		return nil, err
	}
	s, err := portal.New(portal.Config{
		OpenID: openID, API: api.New(base, transport), JetStream: a.js, Replicas: a.Replicas, SecureCookies: a.behindTLS(), MailOn: a.SMTPURL != "",
		Now: time.Now, Log: a.log, Health: a.health,
	})
	if err != nil {
		return nil, err
	}
	s.Routes(a.server.Mux)
	return s.Run, nil
}
