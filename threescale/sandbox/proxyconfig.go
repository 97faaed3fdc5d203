package sandbox

// proxyConfig is the latest configuration of a service's production gateway, as the portal shows it: with the token in it.
func (s *Sandbox) proxyConfig(one *service) (any, error) {
	if one.proxyVersion == 0 {
		return nil, notFound()
	}
	token := ""
	if len(one.tokens) > 0 {
		token = one.tokens[0]
	}
	return object{"proxy_config": object{
		"id": one.proxyVersion, "version": one.proxyVersion, "environment": "production",
		"content": object{
			"id": one.id, "backend_version": one.version, "backend_authentication_type": "service_token", "backend_authentication_value": token,
			"proxy": one.proxy,
		},
	}}, nil
}
