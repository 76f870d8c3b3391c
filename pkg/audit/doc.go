// Package audit is the independent auditor: it folds the log with its own plain code, checks every event on the way,
// and compares every figure that a running system reports with what the log says.
//
// It must not import pkg/volume, pkg/warehouse, pkg/deal or pkg/stream: an auditor that shares the code which it
// checks repeats that code's mistakes. It knows the contract of the log (proto), the decimals of currencies
// (pkg/money, Currency.Exponent alone) and the standard library. It reads only, and never mends what it finds.
package audit
