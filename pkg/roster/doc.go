// Package roster is the directory: companies, associations with their chapters and members, keys and reference
// rates. The truth lies in JetStream KV buckets (Store writes them with compare-and-set); a Roster is the copy in
// memory that follows them, so that reads cost nothing. The package never knows a deal.
package roster
