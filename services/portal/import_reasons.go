package portal

// reason is why a file or a row is not taken, as the page says it.
type reason struct {
	Text    string
	Foreign bool // the API's own words, which are English
}

func (v *visit) reasons(texts ...string) []reason {
	var all []reason
	for _, text := range texts {
		all = append(all, v.reason(text))
	}
	return all
}

func (v *visit) reason(text string) reason {
	return reason{Text: text, Foreign: v.speech.Code != "en"}
}
