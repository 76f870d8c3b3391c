package directory_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/roster"
)

// signIn starts a session.
func (s *system) signIn(credentials object) (secret string, session reply) {
	s.t.Helper()
	session = s.must(201, "", "POST", "/v1/sessions", credentials)
	return session.string("secret"), session
}

// issue makes a key.
func (s *system) issue(scope object) (id, secret string) {
	s.t.Helper()
	issued := s.must(201, s.operator, "POST", "/v1/keys", scope)
	return issued.string("id"), issued.string("secret")
}

func TestSessions_ActAsTheKeyThatTheyWereMadeFor(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	company := s.company("C")
	id, key := s.issue(object{"role": "member", "company_id": company})
	secret, session := s.signIn(object{"key": key})
	if session.string("role") != "member" || session.string("company_id") != company || session.string("key_id") != id ||
		session.string("expires_at") != "2026-11-23T00:00:00Z" || !strings.HasPrefix(secret, "drk_") {
		t.Errorf("session %s", session.text)
	}
	who := s.must(200, secret, "GET", "/v1/session", nil)
	if who.string("key_id") != id || who.string("company_id") != company || who.fields["secret"] != nil {
		t.Errorf("whose it is: %s", who.text)
	}
	keys := s.must(200, secret, "GET", "/v1/keys", nil).items()
	if len(keys) != 1 || keys[0]["id"] != id || keys[0]["last_used"] == nil {
		t.Errorf("the session sees the keys %v, want its own key, used", keys)
	}
	if who := s.must(200, key, "GET", "/v1/session", nil); who.string("key_id") != id || who.fields["expires_at"] != nil {
		t.Errorf("whose the key is: %s", who.text)
	}
	if all := s.must(200, s.operator, "GET", "/v1/keys", nil).items(); len(all) != 2 {
		t.Errorf("%d keys, want the operator's and the member's: a session is no key", len(all))
	}
}

func TestSessions_EndByTimeByHandAndWithTheirKey(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	id, key := s.issue(object{"role": "company_admin", "company_id": s.company("C")})
	opens := func(secret string, status int) {
		t.Helper()
		s.must(status, secret, "GET", "/v1/session", nil)
	}
	one, _ := s.signIn(object{"key": key})
	two, _ := s.signIn(object{"key": key})
	s.must(204, one, "DELETE", "/v1/session", nil)
	opens(one, 401)
	opens(two, 200)

	three, _ := s.signIn(object{"key": key})
	others, _ := s.signIn(object{"key": s.operator})
	s.must(204, three, "DELETE", "/v1/session?everywhere=true", nil)
	opens(two, 401)
	opens(three, 401)
	opens(others, 200)
	opens(key, 200)

	four, _ := s.signIn(object{"key": key})
	s.must(409, key, "DELETE", "/v1/session", nil)
	s.must(204, key, "DELETE", "/v1/session?everywhere=true", nil)
	opens(four, 401)

	five, _ := s.signIn(object{"key": key})
	s.must(401, "", "POST", "/v1/sessions", object{"key": five}) // or it would never end
	s.must(204, s.operator, "DELETE", "/v1/keys/"+id, nil)
	opens(five, 401)

	s.later.Store(int64(roster.SessionLasts - time.Nanosecond))
	opens(others, 200)
	s.later.Store(int64(roster.SessionLasts))
	opens(others, 401)
}

func TestSessions_AreNoMoreThanSoManyOfOneKey(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, key := s.issue(object{"role": "operator"})
	other, _ := s.signIn(object{"key": s.operator})
	var secrets []string
	for range 52 {
		secret, _ := s.signIn(object{"key": key})
		secrets = append(secrets, secret)
	}
	for i, secret := range append(secrets, other) {
		status := 200
		if i < 2 {
			status = 401
		}
		s.must(status, secret, "GET", "/v1/session", nil)
	}
}

func TestSessions_CountAgainstTheLimitOfTheirKey(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, key := s.issue(object{"role": "member", "company_id": s.company("C")})
	for s.do(key, "GET", "/v1/session", nil).status == 200 {
		continue
	}
	if got := s.must(429, "", "POST", "/v1/sessions", object{"key": key}); got.header.Get("Retry-After") == "" {
		t.Errorf("answered %v", got.header)
	}
	s.later.Store(int64(time.Second))
	s.signIn(object{"key": key})
}

func TestSessions_RefuseWrongCredentialsWithOneText(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	id, key := s.issue(object{"role": "operator"})
	s.must(204, s.operator, "DELETE", "/v1/keys/"+id, nil)
	last := "a"
	if strings.HasSuffix(s.operator, last) {
		last = "b"
	}
	link := "drl_" + strings.Repeat("a", 10) + "_" + strings.Repeat("b", 52)
	texts := map[string]bool{}
	for name, credentials := range map[string]object{
		"no key": {"key": "x"}, "a revoked key": {"key": key}, "another secret": {"key": s.operator[:len(s.operator)-1] + last},
		"an unknown key": {"key": "drk" + link[3:]}, "an unknown link": {"link": link}, "a key as a link": {"link": s.operator},
		"a link as a key": {"key": link},
	} {
		got := s.do("", "POST", "/v1/sessions", credentials)
		if got.status != 401 || got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
		texts[got.text] = true
	}
	if len(texts) != 1 {
		t.Errorf("the answers tell what is wrong: %v", texts)
	}
	for name, credentials := range map[string]object{
		"nothing": {}, "two": {"key": s.operator, "link": link}, "a token without nonce": {"id_token": "x"}, "a nonce alone": {"key": s.operator, "nonce": "x"},
		"a token without provider": {"id_token": "x", "nonce": "x"},
	} {
		if got := s.do("", "POST", "/v1/sessions", credentials); got.status != 422 {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
	for range 40 {
		s.do("", "POST", "/v1/sessions", object{"key": key})
	}
	if got := s.do("", "POST", "/v1/sessions", object{"key": key}); got.status != 429 || got.header.Get("Retry-After") == "" {
		t.Errorf("after many guesses: %d %s", got.status, got.text)
	}
	s.signIn(object{"key": s.operator}) // who has a key gets in, whoever guesses beside them
}
