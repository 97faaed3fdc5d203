// Package portal reads 3scale's admin portal: who there is (Account Management) and what was counted (Analytics).
//
// It asks in the one way that the portal answers exactly: UTC, aligned hours and days, no comparison with the period
// before. What it asked for is held against the echo in the answer, and a difference is an error, not data. It never
// writes. Keys and secrets that the portal sends along are not decoded, except user keys, which are kept as the hashes
// the ledger knows them by.
//
// The facts are from porta's sources and from answers of the hosted service: tokens go by HTTP Basic, so that no URL
// holds one; a collection's pages are 500 rows at most, also when more is asked for; a missing or expired token is answered
// with 403 and never with 401.
package portal
