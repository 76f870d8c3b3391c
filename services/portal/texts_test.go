package portal

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/dealreg/dealreg/pkg/disclosure"
)

func speeches(t *testing.T) map[string]*speech {
	t.Helper()
	all := map[string]*speech{}
	for _, code := range languages {
		s, err := newSpeech(code)
		if err != nil {
			t.Fatal(err)
		}
		all[code] = s
	}
	return all
}

var placesIn = regexp.MustCompile(`\{[a-z]+\}`)

func TestMessages_AreTheSameInEveryLanguage(t *testing.T) {
	t.Parallel()
	all := speeches(t)
	first := all[languages[0]].messages
	for _, code := range languages[1:] {
		other := all[code].messages
		if got, want := slices.Sorted(maps.Keys(other)), slices.Sorted(maps.Keys(first)); !slices.Equal(got, want) {
			t.Errorf("%s has other keys: %v", code, symmetric(got, want))
		}
		for key, text := range first {
			got, want := placesIn.FindAllString(other[key], -1), placesIn.FindAllString(text, -1)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s %s has the places %v, not %v", code, key, got, want)
			}
		}
	}
}

func TestMessages_NameEveryDimensionThatAReleaseMayLeaveOut(t *testing.T) {
	t.Parallel()
	for code, s := range speeches(t) {
		for _, dimension := range disclosure.Dimensions() {
			if key := "leftout." + string(dimension); s.messages[key] == "" {
				t.Errorf("%s lacks %s", code, key)
			}
		}
	}
}

func symmetric(a, b []string) (only []string) {
	for _, x := range a {
		if !slices.Contains(b, x) {
			only = append(only, "+"+x)
		}
	}
	for _, x := range b {
		if !slices.Contains(a, x) {
			only = append(only, "-"+x)
		}
	}
	return only
}

var (
	action    = regexp.MustCompile(`(?s)\{\{.*?\}\}`)
	tag       = regexp.MustCompile(`(?s)<[^>]*>`)
	spoken    = regexp.MustCompile(`(?:aria-label|title|placeholder|alt)="([^"]*)"`)
	asked     = regexp.MustCompile(`\b[tn] "([a-z.]+)"`)
	computed  = regexp.MustCompile(`\(print "([a-z]+\.)"`)
	goMessage = regexp.MustCompile(`(?:text|count|notice)\("([a-z.]+)"`)
)

func TestTemplates_HoldNoTextOfTheirOwnAndNameMessagesThatExist(t *testing.T) {
	t.Parallel()
	messages := speeches(t)[languages[0]].messages
	exists := func(where, key string) {
		_, whole := messages[key]
		_, counted := messages[key+".other"]
		starts := strings.HasSuffix(key, ".") && slices.ContainsFunc(slices.Collect(maps.Keys(messages)), func(k string) bool { return strings.HasPrefix(k, key) })
		if !whole && !counted && !starts {
			t.Errorf("%s names the message %q, which is none", where, key)
		}
	}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := templateFiles.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		plain := action.ReplaceAllString(string(text), "")
		for _, attribute := range spoken.FindAllStringSubmatch(plain, -1) {
			if strings.ContainsFunc(attribute[1], unicode.IsLetter) {
				t.Errorf("%s says %q", file, attribute[1])
			}
		}
		if said := strings.TrimSpace(tag.ReplaceAllString(plain, "")); strings.ContainsFunc(said, unicode.IsLetter) {
			t.Errorf("%s says %q", file, said)
		}
		for _, found := range slices.Concat(asked.FindAllStringSubmatch(string(text), -1), computed.FindAllStringSubmatch(string(text), -1)) {
			exists(file, found[1])
		}
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range sources {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range goMessage.FindAllStringSubmatch(string(text), -1) {
			exists(file, found[1])
		}
	}
}

func TestTemplates_WriteNoStylesThatThePolicyForbids(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := templateFiles.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if found := regexp.MustCompile(`(?i)\sstyle=|<style|\son[a-z]+=`).FindString(string(text)); found != "" {
			t.Errorf("%s has %q", file, found)
		}
	}
}

func TestSpeech_WritesAmountsNumbersAndDatesAsReadersExpect(t *testing.T) {
	t.Parallel()
	all := speeches(t)
	en, de := all["en"], all["de"]
	for got, want := range map[string]string{
		en.money("1234567.5", "EUR"):       "€1,234,567.50",
		de.money("1234567.5", "EUR"):       "1.234.567,50\u00a0€",
		en.money("9000000000", "JPY"):      "¥9,000,000,000",
		en.wholeMoney("1999.50", "EUR"):    "€2,000",
		en.money("1.00", "XXX"):            "1.00\u00a0XXX",
		en.signed(change("9", "12")):       "−25.0%",
		de.signed(change("1250.5", "100")): "+1.150,5\u00a0%",
		de.month("2026-03"):                "März 2026",
		en.count("deals", 1):               "1 deal",
		de.count("deals", 1200):            "1.200 Geschäfte",
		en.rounded("1499999.99", 1000):     "1,500",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
