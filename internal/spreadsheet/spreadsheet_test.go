package spreadsheet

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "app1": "app1", "=1+1": "'=1+1", "+49": "'+49", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\tx": "'\tx", "\r=": "'\r=", "a=b": "a=b",
	} {
		assert.Equal(t, want, Text(text))
	}
}
