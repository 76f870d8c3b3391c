package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/dealreg/dealreg/pkg/oidclogin"
)

// openIDFlags name the OpenID provider of the people who sign in.
type openIDFlags struct {
	OIDCIssuer           string `name:"oidc-issuer" placeholder:"URL" help:"OpenID provider with which people sign in; they sign in with links as well." json:"oidc-issuer"`
	OIDCClientID         string `name:"oidc-client-id" placeholder:"ID" help:"What the provider calls this system." json:"oidc-client-id"`
	OIDCClientSecretFile string `name:"oidc-client-secret-file" placeholder:"FILE" help:"File that holds the client secret and nothing else." json:"oidc-client-secret-file"`
}

// openID is the provider of the flags, nil when they name none. It need not answer yet.
func (f openIDFlags) openID() (*oidclogin.Provider, error) {
	if f.OIDCIssuer == "" {
		if f.OIDCClientID != "" || f.OIDCClientSecretFile != "" {
			return nil, wrongUse{errors.New("an OpenID client without a provider: give --oidc-issuer too, or neither")}
		}
		return nil, nil //nolint:nilnil // no provider is a way to run
	}
	secret := ""
	if f.OIDCClientSecretFile != "" {
		text, err := os.ReadFile(f.OIDCClientSecretFile)
		if err != nil {
			return nil, fmt.Errorf("OpenID client secret: %w", err)
		}
		if secret = strings.TrimSpace(string(text)); secret == "" {
			return nil, fmt.Errorf("OpenID client secret: %s is empty: write the secret that the provider gave this system into it", f.OIDCClientSecretFile)
		}
	}
	provider, err := oidclogin.New(oidclogin.Config{Issuer: f.OIDCIssuer, ClientID: f.OIDCClientID, ClientSecret: secret})
	if err != nil {
		return nil, wrongUse{fmt.Errorf("OpenID provider (--oidc-issuer, --oidc-client-id): %w", err)}
	}
	return provider, nil
}
