package client

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// File is the name of the file in the data directory by which a command finds the daemon that uses the directory.
const File = "admin"

// Announcement is the content of File, one line each: how to reach the daemon's listeners. The file is readable only by the
// daemon's user.
type Announcement struct {
	Address     string // a URL, host:port, or unix:/path
	Token       string // of an operator, valid until the daemon stops; a process that can read the directory can do as much without it
	Certificate string // absolute file of the certificate to expect; empty: plain HTTP

	Traffic            string // the traffic listener, as Address
	TrafficCertificate string // as Certificate

	Client string // PEM of a certificate and its key, to show where one is asked, valid until the daemon stops; empty: none is asked
}

// Announce writes File into the data directory dir. It is not synced: a daemon writes it again at every start.
func Announce(dir string, a Announcement) error {
	lines := []string{a.Address, a.Token, a.Certificate, a.Traffic, a.TrafficCertificate, base64.StdEncoding.EncodeToString([]byte(a.Client)), ""}
	return os.WriteFile(filepath.Join(dir, File), []byte(strings.Join(lines, "\n")), 0o600)
}

// Find makes a client of the daemon that uses the data directory dir, by its announcement; without one, fallback is its address.
// A token that is not empty replaces the announced one. The error is about the address. If File cannot be read, the error of a
// later call says so.
func Find(dir, fallback, token string) (*Client, error) {
	a, unread := read(dir)
	c, err := New(cmp.Or(a.Address, fallback), cmp.Or(token, a.Token))
	if err != nil {
		return nil, err
	}
	if a.Certificate != "" {
		c.pin(a.Certificate, a.Client)
	}
	if unread != nil {
		c.hint = fmt.Sprintf("cannot read the address of its admin listener (%v): run this command as the user of the daemon, or set --admin-url", unread)
	}
	return c, nil
}

// FindTraffic makes a client of the traffic listener of the daemon that uses the data directory dir; without an announced
// address, fallback is used. An empty token, a producer's, is not sent.
func FindTraffic(dir, fallback, token string) (*Client, error) {
	a, _ := read(dir)
	c, err := NewTraffic(cmp.Or(a.Traffic, fallback), token)
	if err == nil && a.TrafficCertificate != "" {
		c.pin(a.TrafficCertificate, a.Client)
	}
	return c, err
}

// read reads File. A missing file is not an error: then nothing was announced.
func read(dir string) (a Announcement, err error) {
	text, err := os.ReadFile(filepath.Join(dir, File))
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	lines, own := strings.Split(string(text), "\n"), ""
	for i, field := range []*string{&a.Address, &a.Token, &a.Certificate, &a.Traffic, &a.TrafficCertificate, &own} {
		if i < len(lines) {
			*field = strings.TrimSpace(lines[i])
		}
	}
	decoded, _ := base64.StdEncoding.DecodeString(own) // a daemon that asks for it says no, if it is bad
	a.Client = string(decoded)
	return a, err
}

// pin trusts only the certificate in a file, with any name: it is that of the daemon on this machine. The file is read for each
// connection, since a reload may replace it. own, if not empty, is the PEM of the certificate to show and its key.
func (c *Client) pin(file, own string) {
	var shown []tls.Certificate
	if pair, err := tls.X509KeyPair([]byte(own), []byte(own)); err == nil {
		shown = append(shown, pair)
	}
	c.http.Transport = &http.Transport{TLSClientConfig: &tls.Config{
		Certificates: shown,
		MinVersion:   tls.VersionTLS12, InsecureSkipVerify: true, // VerifyPeerCertificate is stricter
		VerifyPeerCertificate: func(chain [][]byte, _ [][]*x509.Certificate) error {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			for len(text) > 0 && len(chain) > 0 {
				var block *pem.Block
				if block, text = pem.Decode(text); block == nil {
					break
				}
				if bytes.Equal(block.Bytes, chain[0]) {
					return nil
				}
			}
			return fmt.Errorf("the certificate is not the one in %s", file)
		},
	}}
}
