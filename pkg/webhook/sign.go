package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of Standard Webhooks 1.0.
const (
	HeaderID        = "Webhook-Id"        // of the event: the same at every attempt, so receivers drop repeats by it
	HeaderTimestamp = "Webhook-Timestamp" // of the attempt, in seconds since 1970
	HeaderSignature = "Webhook-Signature" // one or more signatures, with spaces between them
)

// The schemes of signatures, as they stand before each.
const (
	schemeShared = "v1,"
	schemePair   = "v1a,"
)

// Tolerance is how far the time of an attempt may be from the receiver's clock, either way.
const Tolerance = 5 * time.Minute

// Sign gives the three headers of one attempt to deliver the body: the event's id, the time of the attempt, and one
// signature by each secret in their order. During a rotation both the new secret and the old one sign. It refuses an
// id that is empty or holds anything but printable ASCII without spaces and full stops, because the full stop separates
// the signed parts, and a zero secret.
func Sign(id string, at time.Time, body []byte, secrets ...Secret) (http.Header, error) {
	if !validID(id) {
		return nil, fmt.Errorf("sign webhook: %q is no id", id)
	}
	if len(secrets) == 0 {
		return nil, errors.New("sign webhook: there is no secret")
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	content := signedContent(id, timestamp, body)
	signatures := make([]string, len(secrets))
	for i, s := range secrets {
		if s.IsZero() {
			return nil, errors.New("sign webhook: a secret is empty")
		}
		signatures[i] = s.sign(content)
	}
	return http.Header{
		HeaderID: {id}, HeaderTimestamp: {timestamp}, HeaderSignature: {strings.Join(signatures, " ")},
	}, nil
}

func validID(id string) bool {
	return id != "" && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' || r == '.' })
}

func signedContent(id, timestamp string, body []byte) []byte {
	content := make([]byte, 0, len(id)+len(timestamp)+len(body)+2)
	content = append(append(content, id...), '.')
	content = append(append(content, timestamp...), '.')
	return append(content, body...)
}

// Verifier tells whether a signature is right: a Secret or a PublicKey.
type Verifier interface {
	verifies(content []byte, signature string) bool
}

// ParseVerifier reads a secret or a public key.
func ParseVerifier(text string) (Verifier, error) {
	if strings.HasPrefix(text, publicPrefix) {
		return ParsePublicKey(text)
	}
	return ParseSecret(text)
}

// Why a request is no webhook of the one who knows the secret.
var (
	ErrHeaders   = errors.New("webhook-id, webhook-timestamp or webhook-signature is missing, or the timestamp is no number")
	ErrTooOld    = errors.New("the timestamp is more than 5 minutes old: the request is a repeat of an old one, or this clock is fast")
	ErrTooNew    = errors.New("the timestamp is more than 5 minutes ahead: this clock is slow")
	ErrSignature = errors.New("no signature matches: another secret, or the body is not the bytes that were sent")
)

// Verify checks the headers of a webhook against the body as it came, byte for byte, and the time of its arrival. One
// signature by one of the verifiers is enough. Errors are ErrHeaders, ErrTooOld, ErrTooNew and ErrSignature.
func Verify(h http.Header, body []byte, now time.Time, by ...Verifier) error {
	id, timestamp, signatures := h.Get(HeaderID), h.Get(HeaderTimestamp), h.Get(HeaderSignature)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if id == "" || signatures == "" || err != nil {
		return ErrHeaders
	}
	switch at := time.Unix(seconds, 0); {
	case at.Before(now.Add(-Tolerance)):
		return ErrTooOld
	case at.After(now.Add(Tolerance)):
		return ErrTooNew
	}
	content := signedContent(id, timestamp, body)
	for signature := range strings.FieldsSeq(signatures) {
		for _, v := range by {
			if v.verifies(content, signature) {
				return nil
			}
		}
	}
	return ErrSignature
}
