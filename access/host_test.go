package access

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTrustedHost(t *testing.T) {
	hosts := []string{"reporterd.example.com"}
	for host, want := range map[string]bool{
		"": true, "localhost": true, "localhost:7071": true, "reporterd:7071": true, "10.0.0.1:7071": true, "[::1]:7071": true, "fd00::1": true,
		"reporterd.metering.svc:7071": true, "reporterd.metering.svc.cluster.local": true, "printer.local.": true,
		"reporterd.example.com:7071": true, "REPORTERD.example.com": true,
		"evil.example": false, "evil.example:7071": false, "127.0.0.1.evil.example": false, "svc.evil.example": false, "other.example.com": false, "evil.example.": false,
	} {
		assert.Equal(t, want, TrustedHost(host, hosts), host)
	}
}
