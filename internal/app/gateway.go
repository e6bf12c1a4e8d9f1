package app

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/gateway/reach"
)

// gatewayOf is what asks the gateway of a node; nil when that is not wanted.
func gatewayOf(c NodeConfig) (control.Gateway, error) {
	p := c.GatewayProbe
	if !p.Enabled {
		if p != (GatewayProbeConfig{}) {
			return nil, errors.New("gateway_probe has settings and enabled is not true")
		}
		return nil, nil //nolint:nilnil // "nobody is asked" is what most nodes want
	}
	if c.GatewayDomain == "" {
		return nil, errors.New("gateway_probe needs gateway_domain")
	}
	security, err := tlsFiles{ca: p.CAFile}.config()
	if err != nil {
		return nil, fmt.Errorf("gateway_probe: %w", err)
	}
	if p.InsecureSkipVerify {
		if security == nil {
			security = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		security.InsecureSkipVerify = true
	}
	g, err := reach.New(reach.Config{Domain: c.GatewayDomain, URL: p.URL, TLS: security, Timeout: p.Timeout})
	if err != nil {
		return nil, fmt.Errorf("gateway_probe: %w", err)
	}
	return g, nil
}
