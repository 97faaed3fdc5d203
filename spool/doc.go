// Package spool keeps things on disk.
package spool
