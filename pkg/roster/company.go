package roster

import (
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Company is a legal entity that may be a party of deals.
type Company struct {
	ID      deal.ID `json:"id"`
	Name    string  `json:"name"`    // legal name, 1-200 characters
	Country string  `json:"country"` // ISO 3166-1 alpha-2
	Domain  string  `json:"domain,omitempty"`
	LEI     string  `json:"lei,omitempty"`  // ISO 17442: 20 characters
	DUNS    string  `json:"duns,omitempty"` // 9 digits
	// GroupID is the company that heads the corporate group; companies of one group count as one contributor. It is
	// the company's own ID unless a registrar set it.
	GroupID   deal.ID   `json:"group_id"`
	CreatedAt time.Time `json:"created_at"`
	// RequestHash tells a repeated creation from another one under the same key; empty without a key.
	RequestHash string `json:"request_hash,omitempty"`

	Revision uint64 `json:"-"` // of the bucket's entry; 0: not stored
}

// Clean is the company as it is stored: names without stray white space, codes in capitals, the domain in lower
// case, its own group where none is named.
func (c Company) Clean() Company {
	c.Name = CleanName(c.Name)
	c.Country = strings.TrimSpace(c.Country)
	c.Domain = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(c.Domain)), ".")
	c.LEI = strings.ToUpper(strings.TrimSpace(c.LEI))
	c.DUNS = strings.TrimSpace(c.DUNS)
	if c.GroupID.IsZero() {
		c.GroupID = c.ID
	}
	return c
}

// Validate names every fault of a cleaned company with its field and the remedy.
func (c Company) Validate() deal.Invalid {
	var faults deal.Invalid
	checkName(&faults, "/name", c.Name, 200)
	if fault := CountryFault(c.Country); fault != "" {
		faults.Add("/country", fault)
	}
	if c.Domain != "" && !IsDomain(c.Domain) {
		faults.Add("/domain", "not a web domain: write it without https:// and path, such as contoso.example (international ones as xn--)")
	}
	if c.LEI != "" && !IsLEI(c.LEI) {
		faults.Add("/lei", "not an LEI: its check digits do not fit; write the 20 characters of the company's entry at gleif.org")
	}
	if c.DUNS != "" && !duns.MatchString(c.DUNS) {
		faults.Add("/duns", "not a D-U-N-S number: write 9 digits without hyphens")
	}
	return faults
}

func checkName(faults *deal.Invalid, pointer, name string, longest int) {
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		faults.Add(pointer, "missing: write at least one character that is not white space")
	case n > longest:
		faults.Add(pointer, "too long: write at most "+itoa(longest)+" characters")
	case !utf8.ValidString(name) || hasControl(name):
		faults.Add(pointer, "holds control characters: write plain text")
	}
}

var (
	duns   = regexp.MustCompile(`^[0-9]{9}$`)
	lei    = regexp.MustCompile(`^[0-9A-Z]{18}[0-9]{2}$`)
	domain = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+([a-z]{2,63}|xn--[a-z0-9-]{1,58}[a-z0-9])$`)
)

// IsDomain tells whether text is a host name in lower case with at least two labels (RFC 1123), not an address.
func IsDomain(text string) bool { return len(text) <= 253 && domain.MatchString(text) }

// IsLEI tells whether text has the form of a Legal Entity Identifier and the right check digits: ISO 17442, which
// takes MOD 97-10 of ISO 7064 with A as 10 up to Z as 35.
func IsLEI(text string) bool {
	if !lei.MatchString(text) {
		return false
	}
	remainder := 0
	for _, r := range text {
		if r <= '9' {
			remainder = (remainder*10 + int(r-'0')) % 97
		} else {
			remainder = (remainder*100 + int(r-'A') + 10) % 97
		}
	}
	return remainder == 1
}
