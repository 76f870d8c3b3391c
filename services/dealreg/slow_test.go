package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// halfOf sends a request without the last bytes of its body.
func halfOf(t *testing.T, address, path, kind, cookie, body string, missing int) net.Conn {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(3 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nCookie: %s\r\nContent-Length: %d\r\n\r\n%s",
		path, u.Host, kind, cookie, len(body), body[:len(body)-missing])
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestUp_LeavesWhoSendsSlowlyButLetsAFileOfASignedInPersonArrive(t *testing.T) {
	t.Parallel()
	p := up(t, t.TempDir())
	operator := p.waitFor(operatorLine)
	ready(t, p.url)
	defer p.stop()
	const form, file = "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"
	response, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).
		PostForm(p.url+"/sign-in", url.Values{"key": {operator}})
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	cookie := response.Header.Get("Set-Cookie")

	parts := []string{`name="source"` + "\r\n\r\nECB", `name="file"; filename="rates.csv"` + "\r\n\r\nDate,USD,\n2026-11-20,1.16,\n"}
	rates := "--x\r\nContent-Disposition: form-data; " + strings.Join(parts, "\r\n--x\r\nContent-Disposition: form-data; ") + "\r\n--x--\r\n"
	const missing = 20
	arriving := halfOf(t, p.url, "/setup/rates", file, cookie, rates, missing)
	slow := map[string]net.Conn{ // begun later, so that the file is as late as they are when they are left
		"a form":                      halfOf(t, p.url, "/sign-in", form, "", "key=drk_none", 1),
		"a stranger's file":           halfOf(t, p.url, "/setup/rates", file, "", rates, missing),
		"a call of the API":           halfOf(t, p.url, "/v1/sessions", "application/json", "", "{}", 1),
		"a call that nobody signed":   halfOf(t, p.url, "/v1/deals", "application/json", "", "{}", 1),
		"what is sent to no address":  halfOf(t, p.url, "/nowhere", form, "", "key=drk_none", 1),
		"a body that no handler asks": halfOf(t, p.url, "/sign-in/drl_none", form, "", "key=drk_none", 1),
	}
	for name, conn := range slow {
		if _, err := io.ReadAll(conn); err != nil { // ends when the server closes the connection
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := io.WriteString(arriving, rates[len(rates)-missing:]); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(arriving), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("the file that took its time: %s", answer.Status)
	}
}
