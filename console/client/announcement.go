package client

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// File is the name of the file in the data directory by which a command finds the daemon that uses the directory.
const File = "admin"

// Announcement is what a daemon says about its admin listener in File, one line each. The file is readable for the daemon's
// user alone.
type Announcement struct {
	Address     string // a URL, host:port, or unix:/path
	Token       string // of an operator, good for as long as the daemon lives; a process that may read the directory can do as much without it
	Certificate string // absolute file of the certificate to expect; empty: plain HTTP
}

// Announce writes File into the data directory dir. It is not synced: a daemon that starts writes it anew.
func Announce(dir string, a Announcement) error {
	return os.WriteFile(filepath.Join(dir, File), []byte(a.Address+"\n"+a.Token+"\n"+a.Certificate+"\n"), 0o600)
}

// Find makes a client of the daemon that uses the data directory dir, as it announced itself. fallback is its address where
// it did not. A token that is not empty is used in place of the announced one. The error is about the address.
func Find(dir, fallback, token string) (*Client, error) {
	text, err := os.ReadFile(filepath.Join(dir, File))
	lines := append(strings.Split(strings.TrimRight(string(text), "\n"), "\n"), "", "", "")
	if err != nil || lines[0] == "" {
		return New(fallback, token)
	}
	c, err := New(lines[0], cmp.Or(token, strings.TrimSpace(lines[1])))
	if err == nil && lines[2] != "" {
		c.pin(lines[2])
	}
	return c, err
}

// pin trusts the certificate in a file and no other, whatever names it has: it is that of the daemon on this machine. The file
// is read for each connection, since a reload may replace it.
func (c *Client) pin(file string) {
	c.http.Transport = &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, // VerifyPeerCertificate is stricter
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
