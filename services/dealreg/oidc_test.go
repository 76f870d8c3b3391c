package main

import "testing"

func TestOpenIDFlags_NameAWholeProviderOrNone(t *testing.T) {
	t.Parallel()
	secret := writeFile(t, "secret", "s3cret\n")
	const issuer = "https://login.contoso.example"
	if p, err := (openIDFlags{}).openID(); p != nil || err != nil {
		t.Errorf("none: %v, %v", p, err)
	}
	for _, good := range []openIDFlags{{issuer, "dealreg", secret}, {issuer, "dealreg", ""}} {
		if p, err := good.openID(); p == nil || err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for what, bad := range map[string]openIDFlags{
		"no issuer": {"", "dealreg", secret}, "no client": {issuer, "", secret}, "no file": {issuer, "dealreg", secret + "x"},
		"an empty file": {issuer, "dealreg", writeFile(t, "empty", "\n")}, "no TLS": {"http://login.contoso.example", "dealreg", secret},
	} {
		if _, err := bad.openID(); err == nil {
			t.Errorf("takes %s", what)
		}
	}
}
