package threescale

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func valid() Transaction {
	return Transaction{
		Application: Application{ID: "app1"}, Usage: Usage{{"hits", 1}, {"search", MaxValue}},
		Timestamp: someday.Unix(), Code: 200,
	}
}

func TestValidateNamesTheField(t *testing.T) {
	for field, spoil := range map[string]func(*Transaction){
		"":              func(*Transaction) {},
		"app_id":        func(t *Transaction) { t.Application = Application{} },
		"user_key":      func(t *Transaction) { t.Application = Application{UserKey: "\xff"} },
		"usage.hits":    func(t *Transaction) { t.Usage[0].Value = MaxValue + 1 },
		"usage.search":  func(t *Transaction) { t.Usage = append(t.Usage, Increment{"search", 1}) },
		"usage.":        func(t *Transaction) { t.Usage[0].Metric = "" },
		"usage. hits":   func(t *Transaction) { t.Usage[0].Metric = " hits" },
		"usage.a[b]":    func(t *Transaction) { t.Usage[0].Metric = "a[b]" },
		"usage.\uFFFD":  func(t *Transaction) { t.Usage[0].Metric = "\xff" },
		"timestamp":     func(t *Transaction) { t.Timestamp = someday.Unix() - 86401 },
		"response_code": func(t *Transaction) { t.Code = 1000 },
	} {
		transaction := valid()
		spoil(&transaction)
		got := transaction.Validate(someday)
		if field == "" {
			assert.Nil(t, got)
			continue
		}
		if assert.Len(t, got, 1, field) {
			assert.Equal(t, field, got[0].Field)
			assert.NotEmpty(t, got[0].Detail)
		}
	}
}

func TestValidateFindsEverythingAtOnce(t *testing.T) {
	bad := Transaction{
		Application: Application{ID: "a", UserKey: "k"}, Usage: Usage{{"h", MaxValue + 1}, {"h", 1}},
		Timestamp: someday.Unix() + 3601, Code: 99,
	}
	assert.Len(t, bad.Validate(someday), 5)
}

func TestValidateTakesTheEdgesOfTheWindow(t *testing.T) {
	for offset, ok := range map[int64]bool{-86400: true, -86401: false, 3600: true, 3601: false, 0: true} {
		transaction := valid()
		transaction.Timestamp += offset
		assert.Equal(t, ok, transaction.Validate(someday) == nil, offset)
	}
	none := valid()
	none.Timestamp, none.Code = 0, 0
	assert.Nil(t, none.Validate(someday))
}

func TestValidateRefusesWhatDoesNotFitIntoAReport(t *testing.T) {
	long := valid()
	long.Application.ID = strings.Repeat("é", MaxName)
	assert.Nil(t, long.Validate(someday))
	long.Application.ID += "e"
	assert.Equal(t, []FieldError{{"app_id", "must have at most 255 characters"}}, long.Validate(someday))

	big := valid()
	big.Usage = nil
	for i := range 4000 {
		big.Usage = append(big.Usage, Increment{fmt.Sprint(strings.Repeat("é", 250), i), 1})
	}
	assert.Equal(t, "usage", big.Validate(someday)[0].Field)

	many := valid()
	many.Usage = nil
	for i := range MaxParams - 5 {
		many.Usage = append(many.Usage, Increment{fmt.Sprint("m", i), 1})
	}
	assert.Nil(t, many.Validate(someday), "4096 with two for the credentials")
	many.Usage = append(many.Usage, Increment{"last", 1})
	assert.Equal(t, "usage", many.Validate(someday)[0].Field)
	many.Usage[len(many.Usage)-1].Metric = "m20"
	assert.Equal(t, "usage.m20", many.Validate(someday)[0].Field, "given twice, far apart")
}

func TestNormalize(t *testing.T) {
	transaction := Transaction{Usage: Usage{{" hits\t", 1}, {"zero", 0}, {"hits", 2}}}
	transaction.Normalize()
	assert.Equal(t, Usage{{"hits", 1}, {"hits", 2}}, transaction.Usage)
	assert.Equal(t, uint64(1), transaction.Usage.Get("hits"))
	assert.Zero(t, transaction.Usage.Get("zero"))
}

func TestValidateAllocatesNothingForAGoodOne(t *testing.T) {
	transaction := valid()
	assert.Zero(t, testing.AllocsPerRun(100, func() { transaction.Validate(someday) }))
}

func BenchmarkValidate(b *testing.B) {
	transaction := valid()
	b.ReportAllocs()
	for b.Loop() {
		if transaction.Validate(someday) != nil {
			b.Fatal("refused")
		}
	}
}
