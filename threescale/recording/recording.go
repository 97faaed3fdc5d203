// Package recording reads the recordings of the real backend that lie in the testdata of package
// threescale, for the tests of this module. Nothing else imports it.
package recording

// Recording is one exchange with the real backend.
type Recording struct {
	Name     string // file name without .txt
	Comments []string
}
