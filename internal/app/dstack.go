package app

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack"
)

// DstackConfig says how the dstack-vmm of a node is reached.
type DstackConfig struct {
	URL          string `koanf:"url"`        // http://HOST:PORT, https://HOST:PORT or unix:PATH
	Token        string `koanf:"token"`      // admin token
	TokenFile    string `koanf:"token_file"` // file with the admin token
	User         string `koanf:"user"`       // of a htpasswd file, in place of a token
	Password     string `koanf:"password"`
	PasswordFile string `koanf:"password_file"`

	CAFile     string `koanf:"ca_file"`     // PEM; default: the roots of the system
	CertFile   string `koanf:"cert_file"`   // PEM; client certificate, for a proxy in front of the VMM
	KeyFile    string `koanf:"key_file"`    // PEM
	ServerName string `koanf:"server_name"` // in its certificate; default: the host of url

	AgentURL    string   `koanf:"agent_url"`    // leads to the gateway from here; default: the host names of CVMs do
	KMSURLs     []string `koanf:"kms_urls"`     // for new CVMs; default: those of the VMM
	GatewayURLs []string `koanf:"gateway_urls"` // for new CVMs; default: those of the VMM
}

// dstackDriver makes the driver of a node. The VMM need not answer now: a server must start without it.
func (b *builder) dstackDriver(c NodeConfig) (runtime.Runtime, error) {
	d := c.Dstack
	switch {
	case c.DeviceID == "":
		return nil, errors.New("device_id is empty, want the 64 hex digits of the host's device id: dstack-vmm does not tell it")
	case c.Dir != "":
		return nil, fmt.Errorf("dir is %q, which is for the drivers sim and docker; a dstack node has none", c.Dir)
	}
	token, err := secret("token", d.Token, d.TokenFile)
	if err != nil {
		return nil, err
	}
	password, err := secret("password", d.Password, d.PasswordFile)
	if err != nil {
		return nil, err
	}
	security, err := tlsFiles{ca: d.CAFile, cert: d.CertFile, key: d.KeyFile, serverName: d.ServerName}.config()
	if err != nil {
		return nil, err
	}
	driver, err := dstack.New(dstack.Config{
		URL: d.URL, Token: token, User: d.User, Password: password, TLS: security, AgentURL: d.AgentURL,
		KMSURLs: d.KMSURLs, GatewayURLs: d.GatewayURLs, Logger: b.log.With("node", c.Name),
	})
	if err != nil {
		return nil, err
	}
	b.platform.closers = append(b.platform.closers, driver.Close)
	return driver, nil
}

// secret is a setting that may be kept in a file of its own.
func secret(name, value, file string) (string, error) {
	if file == "" {
		return value, nil
	}
	if value != "" {
		return "", fmt.Errorf("both %s and %s_file are given, want one of them", name, name)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s_file: %w", name, err)
	}
	return strings.TrimSpace(string(text)), nil
}
