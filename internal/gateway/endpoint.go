// Package gateway knows how dstack's gateway names the endpoints of CVMs, and reads what an app wants of
// it. It calls nobody.
package gateway

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Endpoint is a port of an app, or of one of its instances, as the gateway serves it. In its host name
// <id>[-<port>][s|g].<domain> the port may be left out when it is the default one.
type Endpoint struct {
	// ID is an app id, which means any instance of the app, or an instance id: 40 lower-case hex digits.
	ID string
	// Port inside the CVM, 1 to 65535. 0 means the default: 80, and 443 with Passthrough.
	Port int
	// Passthrough hands TLS through to the app (s). Otherwise it ends at the gateway.
	Passthrough bool
	// HTTP2 makes the gateway speak HTTP/2 to the app, as gRPC needs (g). It excludes Passthrough.
	HTTP2 bool
}

// Default ports of an endpoint.
const (
	DefaultPort            = 80
	DefaultPassthroughPort = 443
)

const idDigits = 40

// Check says what is wrong with an endpoint, if anything.
func (e Endpoint) Check() error {
	switch {
	case len(e.ID) != idDigits || strings.Trim(e.ID, "0123456789abcdef") != "":
		return fmt.Errorf("gateway: id is %q, want 40 lower-case hex digits", e.ID)
	case e.Port < 0 || e.Port > 65535:
		return fmt.Errorf("gateway: port is %d, want 1 to 65535", e.Port)
	case e.Passthrough && e.HTTP2:
		return fmt.Errorf("gateway: an endpoint has TLS passed through (s) or HTTP/2 behind the gateway (g), not both")
	}
	return nil
}

// PortInside is the port inside the CVM, defaults resolved.
func (e Endpoint) PortInside() int {
	switch {
	case e.Port != 0:
		return e.Port
	case e.Passthrough:
		return DefaultPassthroughPort
	default:
		return DefaultPort
	}
}

// Label is the first label of the host name: the id with the port and flags. The port is always written,
// as the official clients do.
func (e Endpoint) Label() string {
	label := e.ID + "-" + strconv.Itoa(e.PortInside())
	switch {
	case e.Passthrough:
		label += "s"
	case e.HTTP2:
		label += "g"
	}
	return label
}

// URL is where the endpoint is reached. The domain may end in a port of the gateway (domain:8443); without
// one it is that of https.
func (e Endpoint) URL(domain string) string { return "https://" + e.Label() + "." + domain }

// ParseHost reads the host name of an endpoint under a domain, in any case. A port of the gateway behind
// either does not count. It takes exactly what the gateway takes: the id, at most one dash with a port, and
// at most one flag.
func ParseHost(host, domain string) (Endpoint, error) {
	name, base := strings.ToLower(withoutPort(host)), strings.ToLower(withoutPort(domain))
	label, ok := strings.CutSuffix(name, "."+base)
	if !ok || base == "" || strings.Contains(label, ".") {
		return Endpoint{}, fmt.Errorf("gateway: host name %q is not one label under %q", host, domain)
	}
	wrong := func(why string) (Endpoint, error) {
		return Endpoint{}, fmt.Errorf("gateway: host name %q %s, want <id>[-<port>][s|g].%s", host, why, domain)
	}
	id, rest, dashed := strings.Cut(label, "-")
	part := &rest
	if !dashed {
		part = &id // flags may follow the id itself
	}
	var e Endpoint
	switch {
	case strings.HasSuffix(*part, "s"):
		e.Passthrough = true
	case strings.HasSuffix(*part, "g"):
		e.HTTP2 = true
	}
	if e.Passthrough || e.HTTP2 {
		*part = (*part)[:len(*part)-1]
	}
	e.ID = id
	if dashed && rest != "" {
		port, err := strconv.ParseUint(rest, 10, 16)
		if err != nil || port == 0 {
			return wrong(fmt.Sprintf("has the port %q", rest))
		}
		e.Port = int(port)
	} else if dashed && !e.Passthrough && !e.HTTP2 {
		return wrong("has a dash and no port")
	}
	if err := e.Check(); err != nil {
		return wrong(fmt.Sprintf("has the id %q", id))
	}
	return e, nil
}

// withoutPort cuts :port from the end of a host name.
func withoutPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}
