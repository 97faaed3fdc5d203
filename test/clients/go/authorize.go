package main

import (
	"github.com/3scale/3scale-go-client/threescale"
	"github.com/3scale/3scale-go-client/threescale/api"
	client "github.com/3scale/3scale-go-client/threescale/http"
)

// verdict is one authorization and what the client made of it.
type verdict struct {
	Call       string `json:"call"`
	Authorized bool   `json:"authorized"`
	Code       string `json:"code"`
	Current    int    `json:"current"` // of hits, in the day; -1: there is no such limit
	Error      string `json:"error"`
}

// authorizations asks about the application with a limit of ten hits a day until it is reached, and about
// what is denied for another reason.
func authorizations(c *client.Client) []verdict {
	token := api.ClientAuth{Type: api.ServiceToken, Value: "stoken1001"}
	ask := func(call string, how func(threescale.Request, ...client.Option) (*threescale.AuthorizeResult, error), params api.Params, hits int) verdict {
		answer, err := how(threescale.Request{
			Auth: token, Service: "1001", Extensions: api.Extensions{"rejection_reason_header": "1"}, Transactions: []api.Transaction{{Params: params, Metrics: api.Metrics{"hits": hits}}},
		})
		v := verdict{Call: call, Current: -1}
		if err != nil {
			v.Error = err.Error()
		}
		if answer == nil {
			return v
		}
		v.Authorized, v.Code = answer.Authorized, answer.ErrorCode+answer.RejectionReason
		for _, r := range answer.UsageReports["hits"] {
			if r.PeriodWindow.Period == api.Day {
				v.Current = r.CurrentValue
			}
		}
		return v
	}
	limited := api.Params{AppID: "applim"}
	return []verdict{
		ask("fresh", c.AuthorizeWithOptions, limited, 4),
		ask("used", c.AuthRepWithOptions, limited, 4),
		ask("used again", c.AuthRepWithOptions, limited, 4),
		ask("too much", c.AuthRepWithOptions, limited, 4),
		ask("as it stands", c.AuthorizeWithOptions, limited, 0),
		ask("wrong key", c.AuthRepWithOptions, api.Params{AppID: "app1", AppKey: "wrong"}, 1),
		ask("right key", c.AuthRepWithOptions, api.Params{AppID: "app1", AppKey: "key1"}, 1),
		ask("no such application", c.AuthorizeWithOptions, api.Params{AppID: "nosuch"}, 1),
	}
}
