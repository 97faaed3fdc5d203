// Command go reports through a drop-in 3scale backend with 3scale's official Go client, as an
// application would, and prints what the client made of each answer.
//
//	go run . http://127.0.0.1:7070
//	go run . http://127.0.0.1:7070 authorize
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/3scale/3scale-go-client/threescale"
	"github.com/3scale/3scale-go-client/threescale/api"
	client "github.com/3scale/3scale-go-client/threescale/http"
)

// result is one call and what the client made of the answer.
type result struct {
	Call     string `json:"call"`
	Accepted bool   `json:"accepted"`
	Code     string `json:"code"`
	Error    string `json:"error"`
}

func main() {
	c, err := client.NewClient(os.Args[1], &http.Client{Timeout: 10 * time.Second})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if len(os.Args) > 2 {
		print(authorizations(c))
		return
	}
	token := api.ClientAuth{Type: api.ServiceToken, Value: "stoken1001"}
	wrong := api.ClientAuth{Type: api.ServiceToken, Value: "wrong"}
	key := api.ClientAuth{Type: api.ProviderKey, Value: "pkey"}
	print([]result{
		report(c, "by app id", token, "1001", api.Params{AppID: "app1"}, 3),
		report(c, "hundreds in the query string", token, "1001", api.Params{AppID: "app2"}, 300),
		report(c, "by user key and provider key", key, "1002", api.Params{UserKey: "ukey1"}, 2),
		report(c, "with a wrong token", wrong, "1001", api.Params{AppID: "app1"}, 1),
	})
}

func print(results any) {
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		os.Exit(1)
	}
}

// report sends n transactions of one hit and ten of transfer each.
func report(c *client.Client, call string, auth api.ClientAuth, service api.Service, params api.Params, n int) result {
	request := threescale.Request{Auth: auth, Service: service}
	for range n {
		request.Transactions = append(request.Transactions, api.Transaction{
			Params: params, Metrics: api.Metrics{"hits": 1, "transfer": 10}, Timestamp: time.Now().Unix(),
		})
	}
	answer, err := c.Report(request)
	r := result{Call: call}
	if err != nil {
		r.Error = err.Error()
	}
	if answer != nil {
		r.Accepted, r.Code = answer.Accepted, answer.ErrorCode
	}
	return r
}
