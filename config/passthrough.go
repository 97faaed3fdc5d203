package config

// Passthrough says what is done with 3scale calls for services that are not listed.
type Passthrough string

// The values of Passthrough. In the file true means verify, and false off.
const (
	PassthroughVerify Passthrough = "verify"
	PassthroughTrust  Passthrough = "trust"
	PassthroughOff    Passthrough = "off"
)

// On reports whether such calls are taken.
func (p Passthrough) On() bool { return p != PassthroughOff }

// passthrough takes the words of the manual, and true and false, which it was until 0.1.0-dev.
func passthrough(text string, isText bool, value any) (any, error) {
	switch {
	case value == true, text == "true":
		return PassthroughVerify, nil
	case value == false, text == "false":
		return PassthroughOff, nil
	case !isText:
		return nil, &wrong{value, "expected verify, trust or off"}
	}
	return Passthrough(text), nil
}
