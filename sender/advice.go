package sender

import (
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/threescale"
)

// advice says what an operator can do about a held lane, by the verdict's code.
func advice(code string) string {
	switch code {
	case noCredentials:
		return "nothing is configured to open this service with: add it to services, or restore its token"
	case badDisk:
		return "the data directory cannot be read or written at the moment: nothing is lost, and it is tried again until it can be"
	case threescale.CodeServiceTokenInvalid, threescale.CodeProviderKeyInvalid,
		threescale.CodeProviderKeyInvalidOrServiceMissing:
		return "the backend refuses the credentials: correct the service's token or key and reload; a new one is refused at random for up to a minute"
	case threescale.CodeServiceIDInvalid, threescale.CodeServiceIDMissing:
		return "the backend does not know the service for these credentials: correct its id in services"
	case threescale.CodeProviderKeyOrServiceTokenRequired, threescale.CodeContentTypeInvalid:
		return "something between here and the backend strips parts of the call: look at the proxies on the way"
	case "not_found", "redirect", "unexpected_answer":
		return "this is not a 3scale backend's answer: look at backend.url and the proxies on the way"
	case "connection", "no_answer", "timeout":
		return "look at backend.url, at the network, and at name servers, firewalls and proxies on the way"
	case "forbidden":
		return "something in front of the backend forbids the call: look at firewalls and proxies on the way"
	}
	return ""
}

// adviceField is the advice as a field of a log line; none where there is no advice.
func adviceField(code string) zap.Field {
	if text := advice(code); text != "" {
		return zap.String("advice", text)
	}
	return zap.Skip()
}
