package app

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
	yamlv4 "go.yaml.in/yaml/v4"

	"github.com/lockstep-cvm/lockstep/onchain"
)

// Config is what `lockstep serve` is told: by flags, over LOCKSTEP_* variables, over a YAML file.
type Config struct {
	DatabaseURL string       `koanf:"database_url"` // sqlite:PATH or postgres://…
	Listen      string       `koanf:"listen"`       // host:port
	TLS         TLSConfig    `koanf:"tls"`
	Finality    string       `koanf:"finality"` // latest, safe, finalized, or a number of confirmations
	Log         LogConfig    `koanf:"log"`
	PublicURL   string       `koanf:"public_url"` // where clients reach the server; empty: as each request came
	Origins     []string     `koanf:"origins"`    // browser origins that may call; empty: any, without cookies
	Timeouts    Timeouts     `koanf:"timeouts"`
	KMS         []KMSConfig  `koanf:"kms"`
	Nodes       []NodeConfig `koanf:"nodes"`
}

// TLSConfig names the files of a certificate and its key, both PEM. Without them the server speaks plain
// HTTP.
type TLSConfig struct {
	CertFile string `koanf:"cert_file"`
	KeyFile  string `koanf:"key_file"`
}

// LogConfig says what is logged.
type LogConfig struct {
	Level  string `koanf:"level"`  // debug, info, warn, error
	Format string `koanf:"format"` // text, json
}

// KMSConfig is a key management service.
type KMSConfig struct {
	ID           string `koanf:"id"` // kms_…; default: follows from the slug
	Slug         string `koanf:"slug"`
	Type         string `koanf:"type"` // phala, ethereum, base
	URL          string `koanf:"url"`
	Version      string `koanf:"version"`
	GatewayAppID string `koanf:"gateway_app_id"`
	KeysDir      string `koanf:"keys_dir"` // folder of the embedded development KMS; empty: the dstack-kms at url

	// Of the dstack-kms at url.
	K256Pubkey         string `koanf:"k256_pubkey"`          // its root key, hex; default: the one that the KMS contract names
	CAFile             string `koanf:"ca_file"`              // PEM; default: the roots of the system
	ServerName         string `koanf:"server_name"`          // in its certificate; default: the host of url
	InsecureSkipVerify bool   `koanf:"insecure_skip_verify"` // takes any certificate; answers are signed all the same
	AllowUnstamped     bool   `koanf:"allow_unstamped"`      // takes keys whose signature has no time

	ChainID         int64    `koanf:"chain_id"`
	ChainName       string   `koanf:"chain_name"`
	RPCURLs         []string `koanf:"rpc_urls"`
	PublicRPCURL    string   `koanf:"public_rpc_url"` // handed to clients; default: the first of rpc_urls
	ContractAddress string   `koanf:"contract_address"`
	ExplorerURL     string   `koanf:"explorer_url"`
}

// NodeConfig is a host that runs CVMs.
type NodeConfig struct {
	ID            int64          `koanf:"id"`
	Name          string         `koanf:"name"`
	Region        string         `koanf:"region"`
	DeviceID      string         `koanf:"device_id"` // 64 hex; default of the simulator: follows from the name
	GatewayDomain string         `koanf:"gateway_domain"`
	Driver        string         `koanf:"driver"` // sim, docker, dstack
	Dir           string         `koanf:"dir"`    // of the drivers sim and docker
	Docker        DockerConfig   `koanf:"docker"` // of the driver docker
	Dstack        DstackConfig   `koanf:"dstack"` // of the driver dstack
	Images        []ImageConfig  `koanf:"images"`
	Capacity      CapacityConfig `koanf:"capacity"`

	GatewayProbe GatewayProbeConfig `koanf:"gateway_probe"`
}

// GatewayProbeConfig says whether and how endpoints that documents name (x-lockstep.gateway_probe) are asked
// for through the gateway of a node, before an update counts as succeeded.
type GatewayProbeConfig struct {
	Enabled            bool          `koanf:"enabled"`
	URL                string        `koanf:"url"`     // leads to the gateway from here; default: the host names of CVMs do
	CAFile             string        `koanf:"ca_file"` // PEM; default: the roots of the system
	InsecureSkipVerify bool          `koanf:"insecure_skip_verify"`
	Timeout            time.Duration `koanf:"timeout"` // of one request; default: 5s
}

// ImageConfig is an OS image of a node.
type ImageConfig struct {
	Name    string  `koanf:"name"`
	Version []int64 `koanf:"version"` // three numbers
	Dev     bool    `koanf:"dev"`
	Hash    string  `koanf:"hash"` // 64 hex; default of the simulator: follows from the name
}

// CapacityConfig is what a node has for CVMs.
type CapacityConfig struct {
	CVMs     int64 `koanf:"cvms"`
	VCPU     int64 `koanf:"vcpu"`
	MemoryMB int64 `koanf:"memory_mb"`
}

// DefaultConfig is a server that is told nothing: no node, no KMS, a database in the working folder.
func DefaultConfig() Config {
	return Config{
		DatabaseURL: "sqlite:lockstep.db",
		Listen:      "127.0.0.1:8787",
		Finality:    onchain.Latest.String(),
		Log:         LogConfig{Level: "info", Format: "text"},
	}
}

const envPrefix = "LOCKSTEP_"

// envKeys maps variables to settings. Lists are given as YAML or JSON text.
var envKeys = map[string]string{
	"DATABASE_URL": "database_url", "LISTEN": "listen", "TLS_CERT_FILE": "tls.cert_file", "TLS_KEY_FILE": "tls.key_file",
	"FINALITY": "finality", "LOG_LEVEL": "log.level", "LOG_FORMAT": "log.format", "ORIGINS": "origins", "PUBLIC_URL": "public_url", "KMS": "kms", "NODES": "nodes",
}

// ConfigFlags adds the flags that LoadConfig reads. Flags that are not given do not count.
func ConfigFlags(flags *pflag.FlagSet) {
	flags.String("database-url", "", "database, as sqlite:PATH or postgres://USER@HOST:PORT/DATABASE")
	flags.String("listen", "", "address to listen on, as HOST:PORT")
	flags.String("tls-cert-file", "", "PEM file with the TLS certificate")
	flags.String("tls-key-file", "", "PEM file with the key of the TLS certificate")
	flags.String("finality", "", "how deep an approval must be on chain: latest, safe, finalized or a number of blocks")
	flags.String("log-level", "", "debug, info, warn or error")
	flags.String("log-format", "", "text or json")
}

// LoadConfig reads the settings: flags over environ over the file at path (none when empty).
func LoadConfig(path string, environ func() []string, flags *pflag.FlagSet) (Config, error) {
	k := koanf.New(".")
	if path != "" {
		if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
			return Config{}, fmt.Errorf("config file %s: %w", path, err)
		}
	}
	var unknown error
	err := k.Load(env.Provider(".", env.Opt{
		Prefix: envPrefix, EnvironFunc: environ,
		TransformFunc: func(name, value string) (string, any) {
			key, ok := envKeys[strings.TrimPrefix(name, envPrefix)]
			if !ok || value == "" {
				return "", nil // LOCKSTEP_API_KEY and others are for the client side; empty means unset
			}
			if key == "kms" || key == "nodes" || key == "origins" {
				var list []any
				if err := yamlv4.Unmarshal([]byte(value), &list); err != nil {
					unknown = errors.Join(unknown, fmt.Errorf("%s: want a list in YAML or JSON: %w", name, err))
					return "", nil
				}
				return key, list
			}
			return key, value
		},
	}), nil)
	if err = errors.Join(err, unknown); err != nil {
		return Config{}, fmt.Errorf("environment: %w", err)
	}
	if flags != nil {
		named := map[string]string{"tls-cert-file": "tls.cert_file", "tls-key-file": "tls.key_file", "log-level": "log.level",
			"log-format": "log.format", "database-url": "database_url", "listen": "listen", "finality": "finality"}
		provider := posflag.ProviderWithFlag(flags, ".", k, func(f *pflag.Flag) (string, any) {
			key, ok := named[f.Name]
			if !ok || !f.Changed {
				return "", nil
			}
			return key, f.Value.String()
		})
		if err := k.Load(provider, nil); err != nil {
			return Config{}, fmt.Errorf("flags: %w", err)
		}
	}
	if err := knownSettings(k); err != nil {
		return Config{}, err
	}
	config := DefaultConfig()
	if err := k.UnmarshalWithConf("", &config, koanf.UnmarshalConf{DecoderConfig: decoder(&config)}); err != nil {
		return Config{}, fmt.Errorf("config: %w", err)
	}
	return config, config.check()
}

func (c Config) check() error {
	var errs []error
	if _, err := onchain.ParseFinality(c.Finality); err != nil {
		errs = append(errs, fmt.Errorf("config: finality: %w", err))
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		errs = append(errs, errors.New("config: tls.cert_file and tls.key_file go together"))
	}
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "") {
		errs = append(errs, fmt.Errorf("config: public_url is %q, want https://HOST, with a path where a proxy adds one", c.PublicURL))
	}
	if c.Listen == "" {
		errs = append(errs, errors.New("config: listen is empty, want HOST:PORT"))
	}
	return errors.Join(errs...)
}

// shutdownGrace is how long requests in flight may take to end when the server stops.
const shutdownGrace = 10 * time.Second
