package roster

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"regexp"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Key is the record of an API key. Its secret is nowhere: Hash is the HMAC-SHA256 of the whole token under the
// pepper.
type Key struct {
	ID            deal.ID    `json:"id"`
	Prefix        string     `json:"prefix"` // 10 characters, finds the record
	Hash          []byte     `json:"hash"`
	Role          Role       `json:"role"`
	CompanyID     deal.ID    `json:"company_id,omitzero"`
	AssociationID deal.ID    `json:"association_id,omitzero"`
	Label         string     `json:"label,omitempty"` // 0-200 characters
	CreatedAt     time.Time  `json:"created_at"`
	RevokedAt     *time.Time `json:"revoked_at,omitempty"`

	Revision uint64 `json:"-"`
	slot     string // its entry in the bucket
}

// Scope is what a key is made for.
type Scope struct {
	Role          Role
	CompanyID     deal.ID
	AssociationID deal.ID
	Label         string
}

// Validate names every fault of a scope with its field and the remedy.
func (s Scope) Validate() deal.Invalid {
	var faults deal.Invalid
	if s.Label != "" {
		checkName(&faults, "/label", s.Label, 200)
	}
	needsCompany, mayHaveAssociation, needsAssociation := false, false, false
	switch s.Role {
	case RoleMember, RoleCompanyAdmin:
		needsCompany = true
	case RoleRegistrar, RoleBoard:
		needsAssociation, mayHaveAssociation = true, true
	case RoleAuditor:
		mayHaveAssociation = true
	case RoleOperator:
	default:
		faults.Add("/role", "not a role: write member, company_admin, registrar, board, auditor or operator")
		return faults
	}
	if needsCompany && s.CompanyID.IsZero() {
		faults.Add("/company_id", "missing: name the company that this role acts for")
	}
	if !needsCompany && !s.CompanyID.IsZero() {
		faults.Add("/company_id", "this role acts for no company: remove it")
	}
	if needsAssociation && s.AssociationID.IsZero() {
		faults.Add("/association_id", "missing: name the association that this role acts in")
	}
	if !mayHaveAssociation && !s.AssociationID.IsZero() {
		faults.Add("/association_id", "this role acts in no single association: remove it")
	}
	return faults
}

// Principal is who acts with the key.
func (k Key) Principal() Principal {
	return Principal{KeyID: k.ID, Role: k.Role, Company: k.CompanyID, Association: k.AssociationID}
}

const (
	prefixLength = 10 // 50 bits
	secretBytes  = 32 // 256 bits
)

var (
	base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	tokenForm   = regexp.MustCompile(`^drk_([a-z2-7]{10})_[a-z2-7]{52}$`)
)

// issue makes a key and its token, which is shown once and never again.
func issue(id deal.ID, s Scope, at time.Time, pepper []byte) (Key, string) {
	random := make([]byte, prefixLength+secretBytes)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	prefix := base32Lower.EncodeToString(random[:prefixLength])[:prefixLength]
	token := "drk_" + prefix + "_" + base32Lower.EncodeToString(random[prefixLength:])
	return Key{
		ID: id, Prefix: prefix, Hash: hashToken(token, pepper), Role: s.Role, CompanyID: s.CompanyID,
		AssociationID: s.AssociationID, Label: CleanName(s.Label), CreatedAt: at.UTC(), slot: prefix,
	}, token
}

// prefixOf finds the prefix of a token; false when the text is no token.
func prefixOf(token string) (string, bool) {
	parts := tokenForm.FindStringSubmatch(token)
	if parts == nil {
		return "", false
	}
	return parts[1], true
}

func hashToken(token string, pepper []byte) []byte {
	mac := hmac.New(sha256.New, pepper)
	mac.Write([]byte(token))
	return mac.Sum(nil)
}
