package httpapi

import (
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
)

// Amount is a sum of money as the API writes it.
type Amount struct {
	Amount   string `json:"amount" maxLength:"32" example:"1250000.00" doc:"Decimal with at most as many decimals as the currency has"`
	Currency string `json:"currency" maxLength:"32" example:"EUR" doc:"ISO 4217 code"`
}

// AmountOf writes a. It panics when a's currency is not known.
func AmountOf(a money.Amount) Amount {
	return Amount{Amount: a.Decimal(), Currency: string(a.Currency)}
}

// Money reads the amount, between 0 and money.MaxMinor. The pointer is that of the amount's object in the body.
func (a Amount) Money(pointer string) (money.Amount, deal.Invalid) {
	if !money.Currency(a.Currency).Known() {
		return money.Amount{}, deal.Invalid{{Pointer: pointer + "/currency", Message: UnknownCurrency}}
	}
	parsed, err := money.Parse(a.Amount, money.Currency(a.Currency))
	if err != nil {
		return money.Amount{}, deal.Invalid{{Pointer: pointer + "/amount", Message: err.Error()}}
	}
	return parsed, nil
}

// UnknownCurrency is the message about a currency code that is none.
const UnknownCurrency = "not the code of an active currency: write its ISO 4217 code in capitals, such as EUR"
