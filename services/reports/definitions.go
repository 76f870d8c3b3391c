package reports

// Definition says what a word of a statement means.
type Definition struct {
	Term    string `json:"term"`
	Meaning string `json:"meaning"`
}

// definitions stand in every statement and every export of one.
var definitions = []Definition{
	{"Amount", "The converted shares of the companies that were members on the day on which the deal was won, if members of at least two corporate groups took part. The whole value counts in the year of that day."},
	{"Deals", "How many deals the amount is made of. A deal of several chapters or pairs is one deal in each of them and one in the total, so their counts may add up to more than the total's."},
	{"Attested by parties", "Every party of the deal confirmed the final figures. Silence never counts."},
	{"Attested by registrar", "The association's registrar stands for the figures, on documents that the deal's record names."},
	{"Month", "The calendar month of the day on which the deal was won."},
	{"Chapter", "The shares of the chapter's members. Chapters add up to the total."},
	{"Pair", "Two members: each deal is divided over all pairs of its members by their shares. Under guarded disclosure a pair is named only when both companies agreed, and only with deals all of whose pairs are."},
	{"Members taking part", "Member companies that won a deal which the release includes."},
	{"Other pairs", "The total without the pairs that are named."},
	{"Hidden", "The figure would let somebody work out a deal that they do not know. It is part of the total."},
	{"Held back", "A deal, or a change of one, whose sudden appearance would give it away waits for a later release and is in no figure until then."},
	{"Changes", "The total less that of the release before, and how many deals came, went or changed since."},
	{"Unconverted", "Deals without an exchange rate on the day on which they were won or in the week before. They are in no amount until the rate comes."},
	{"Quarantined", "Events of the log that could not be read. An operator sees why."},
	{"Currency", "Amounts are converted once, at the reference rate of the day on which the deal was won, else of the nearest day in the week before."},
	{"Growth", "The total against the latest release of the year before, once the year is over."},
	{"Log hash", "SHA-256 over the SHA-256 of each event of the log, from the first to the sequence of the statement: who holds the log can prove that it is the one from which the statement was made."},
	{"Release", "A statement is never changed. What comes later is in the next release; after the close of the year, 90 days after its end, only in a restatement with its reason."},
}
