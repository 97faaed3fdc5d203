package spool

import "time"

// DeadLetter is a transaction that the backend will never take, as its file deadletters/<id>.json has it.
// In a Resolution only Index, Reason and Answer are read.
type DeadLetter struct {
	ID           string            `json:"id"` // of its batch, and its index there: the same after a crash
	ServiceID    string            `json:"service_id"`
	AppID        string            `json:"app_id,omitempty"`
	UserKey      string            `json:"user_key,omitempty"`
	Usage        map[string]uint64 `json:"usage"`
	Events       uint64            `json:"events"`
	Timestamp    time.Time         `json:"timestamp"`
	ResponseCode int               `json:"response_code,omitempty"`
	FlatUsage    bool              `json:"flat_usage,omitempty"`
	Reason       Reason            `json:"reason"`
	Answer       Answer            `json:"answer"`
	Attempts     int               `json:"attempts"`
	CreatedAt    time.Time         `json:"created_at"`

	Index int `json:"-"` // of the transaction in its batch
}

// Reason is why, in the backend's words where it had any.
type Reason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Answer is what came back for the report that held the transaction.
type Answer struct {
	Status int    `json:"status"` // 0: none, it was never sent
	Code   string `json:"code,omitempty"`
}

// DeadLetterQuery selects dead letters. Zero fields select all.
type DeadLetterQuery struct {
	ServiceID string
	Reason    string // code
	Since     time.Time
	Limit     int    // 0: 100; at most 1000
	Cursor    string // the last page's next
}

// DeadLetters returns a page of dead letters in the order of their ids, and the cursor of the next page,
// empty at the end. It reads one file at a time; files that cannot be read are passed over.
func (s *Spool) DeadLetters(q DeadLetterQuery) (page []DeadLetter, next string, err error) {
	return nil, "", nil
}
