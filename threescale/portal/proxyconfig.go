package portal

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
)

// ProxyConfig is what a service's gateway is configured with: one version of it. Keys and tokens that the portal sends along are not
// decoded.
type ProxyConfig struct {
	Version        int64 `json:"version"`
	BackendVersion Text  `json:"backend_version"` // 1: user keys; 2: application ids; oauth
	Proxy          Proxy `json:"proxy"`
}

// Proxy is where a service is reached, how its callers are known, and what its calls use.
type Proxy struct {
	Hosts               []string    `json:"hosts"`
	CredentialsLocation string      `json:"credentials_location"` // query, headers or authorization
	AuthUserKey         string      `json:"auth_user_key"`
	AuthAppID           string      `json:"auth_app_id"`
	AuthAppKey          string      `json:"auth_app_key"`
	Rules               []ProxyRule `json:"proxy_rules"`

	StatusAuthMissing    Text   `json:"error_status_auth_missing"`
	StatusAuthFailed     Text   `json:"error_status_auth_failed"`
	StatusNoMatch        Text   `json:"error_status_no_match"`
	StatusLimitsExceeded Text   `json:"error_status_limits_exceeded"`
	TypeAuthMissing      string `json:"error_headers_auth_missing"` // a media type
	TypeAuthFailed       string `json:"error_headers_auth_failed"`
	TypeNoMatch          string `json:"error_headers_no_match"`
	TypeLimitsExceeded   string `json:"error_headers_limits_exceeded"`
	TextAuthMissing      string `json:"error_auth_missing"`
	TextAuthFailed       string `json:"error_auth_failed"`
	TextNoMatch          string `json:"error_no_match"`
	TextLimitsExceeded   string `json:"error_limits_exceeded"`
}

// ProxyRule is a mapping rule.
type ProxyRule struct {
	Method   string            `json:"http_method"` // ANY: every one
	Pattern  string            `json:"pattern"`     // the query behind ? is also in Params
	Params   map[string]string `json:"querystring_parameters"`
	Metric   string            `json:"metric_system_name"`
	Delta    json.Number       `json:"delta"`
	Position json.Number       `json:"position"` // 0: the rules stand in their order
	Last     bool              `json:"last"`
}

// ProductionConfig returns the latest configuration of a service's production gateway. Without one the error's fault is
// FaultNotFound.
func (c *Client) ProductionConfig(ctx context.Context, serviceID string) (*ProxyConfig, error) {
	var answer struct {
		Config struct {
			Version int64       `json:"version"`
			Content ProxyConfig `json:"content"`
		} `json:"proxy_config"`
	}
	path := "/admin/api/services/" + url.PathEscape(serviceID) + "/proxy/configs/production/latest.json"
	if err := c.get(ctx, path, nil, &answer); err != nil {
		return nil, err
	}
	answer.Config.Content.Version = answer.Config.Version
	return &answer.Config.Content, nil
}

// Status is a status of Proxy as a number; 0: none is set.
func (t Text) Status() int {
	n, err := strconv.Atoi(string(t))
	if err != nil {
		return 0
	}
	return n
}
