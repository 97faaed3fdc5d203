// Package gate answers proxies that ask whether a call of an API may pass: nginx, Caddy, HAProxy, Traefik, Envoy (by gRPC: package
// extauthz). The service, the place of the credentials and the rules that turn a request into usage come from a file, or from the
// portal's configuration of the service, and from nothing else. What the API's caller writes means nothing but what the rules read.
//
// A Handler reads one Question from a request of a proxy, finds the service by its host, the credentials where the service has
// them, and the usage by its rules; the authorizer decides and makes the usage durable before a yes leaves. All parts are safe for
// concurrent use; a file is read as a whole and replaces the former one with Apply.
package gate
