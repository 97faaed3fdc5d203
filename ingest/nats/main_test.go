package nats_test

import (
	"os"
	"testing"

	"github.com/reporterd/reporterd/internal/testparallel"
)

func TestMain(m *testing.M) {
	testparallel.Allow("6")
	os.Exit(m.Run())
}
