package terminal

import (
	"fmt"
	"strings"
	"time"
)

const (
	progressInterval = 100 * time.Millisecond // how often a progress line changes, at most
	progressWidth    = 30                     // characters of the bar
)

// Progress draws how far something has come, if a person reads Err: done of total, in any unit. Without a total it
// draws nothing.
func (s *Screen) Progress(what string, done, total int64) {
	if !s.o.Person || total <= 0 || time.Since(s.shown) < progressInterval {
		return
	}
	done = min(max(done, 0), total)
	filled := int(done * progressWidth / total)
	bar := strings.Repeat("#", filled) + strings.Repeat(".", progressWidth-filled)
	s.draw(fmt.Sprintf("%s [%s] %3d%%", what, bar, done*100/total))
}

// Note draws what the command waits for, if a person reads Err.
func (s *Screen) Note(what string) {
	if s.o.Person {
		s.draw(what)
	}
}

func (s *Screen) draw(line string) {
	fmt.Fprint(s.o.Err, "\r\x1b[K"+line)
	s.shown, s.drawn = time.Now(), true
}

// Clear removes the progress line.
func (s *Screen) Clear() {
	if s.drawn {
		fmt.Fprint(s.o.Err, "\r\x1b[K")
		s.drawn = false
	}
}
