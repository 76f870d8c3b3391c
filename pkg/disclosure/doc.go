// Package disclosure decides what a board may see of an association's year, so that no party, no corporate group and no
// outsider can work out a deal that it does not know. It never reads a store or a clock, and its parameters are in no
// output.
package disclosure
