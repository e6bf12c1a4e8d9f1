package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/spf13/cobra"

	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmtest"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// vmmSim is what `lockstep vmm-sim` is told.
type vmmSim struct {
	listen      string
	agentListen string
	dir         string
	tokens      []string
	authorize   string
	rpcURL      string
	kmsContract string
	keysDir     string
	deviceID    string
	readyFile   string
	stageDelay  time.Duration
	reboot      time.Duration
	restart     time.Duration
	verbose     bool
}

// allowAll is the --kms-authorize that asks nobody.
const allowAll = "allow-all"

func newVMMSim() *cobra.Command {
	var s vmmSim
	cmd := &cobra.Command{
		Use:   "vmm-sim",
		Short: "Run a simulated dstack host that speaks the RPC of dstack-vmm",
		Long: "Serves dstack-vmm's RPC with simulated guests: for tests, and for trying the dstack driver where there is\n" +
			"no TEE. Guests boot through dstack's stages, ask a KMS contract or nobody, and show state, health and\n" +
			"logs. Faults are made at /vmm-sim/faults. Everything is kept in the data folder; guests that ran boot\n" +
			"again when it is started again.",
		Example: "lockstep vmm-sim --listen 127.0.0.1:9080 --data ./host --kms-authorize allow-all\n" +
			"lockstep vmm-sim --listen unix:./vmm.sock --data ./host --rpc-url http://127.0.0.1:8545 --kms-contract 0x…",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&s.listen, "listen", "127.0.0.1:9080", "address of the RPC, as HOST:PORT (port 0 picks one) or unix:PATH")
	flags.StringVar(&s.agentListen, "agent-listen", "", "address of the guest agents, as HOST:PORT: what a gateway would lead to, in plain HTTP (default: none)")
	flags.StringVar(&s.dir, "data", "", "folder of the host's disk")
	flags.StringSliceVar(&s.tokens, "token", nil, "admin token that callers need (default: everybody may call)")
	flags.StringVar(&s.authorize, "kms-authorize", "", "allow-all lets every document boot; without it --rpc-url and --kms-contract decide")
	flags.StringVar(&s.rpcURL, "rpc-url", "", "JSON-RPC of the chain with the KMS contract")
	flags.StringVar(&s.kmsContract, "kms-contract", "", "address of the KMS contract")
	flags.StringVar(&s.keysDir, "keys-dir", "", "folder of an embedded KMS that opens encrypted environments (default: they are ignored)")
	flags.StringVar(&s.deviceID, "device-id", "", "id of the host's TEE, 64 hex (default: made up)")
	flags.StringVar(&s.readyFile, "ready-file", "", "file to write the URL to, as JSON, once it answers")
	flags.DurationVar(&s.stageDelay, "stage-delay", 0, "how long each stage of a boot takes")
	flags.DurationVar(&s.reboot, "reboot-delay", 5*time.Second, "how long a guest whose preparation failed takes to boot again; 0: it does not")
	flags.DurationVar(&s.restart, "restart-backoff", 5*time.Second, "how long the VMM waits before it restarts a process that ended; 0: it does not")
	flags.BoolVarP(&s.verbose, "verbose", "v", false, "log what happens")
	return cmd
}

func (s *vmmSim) run(cmd *cobra.Command) (err error) {
	if s.dir == "" {
		return errors.New("--data is empty, want the folder of the host's disk")
	}
	config := vmmtest.Config{
		Dir: s.dir, Tokens: s.tokens, RebootDelay: s.reboot, RestartBackoff: s.restart,
		StageDelay: func(sim.Stage) time.Duration { return s.stageDelay },
	}
	if s.verbose {
		config.Logger = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
	}
	if config.DeviceID, err = s.device(); err != nil {
		return err
	}
	var closeChain func()
	if config.Authorizer, closeChain, err = s.authorizer(cmd.Context()); err != nil {
		return err
	}
	defer closeChain()
	if s.keysDir != "" {
		if config.Keys, err = kms.OpenDev(s.keysDir, rand.Reader); err != nil {
			return err
		}
	}
	tuneCollector()
	return s.serve(cmd, config)
}

func (s *vmmSim) device() ([32]byte, error) {
	if s.deviceID == "" {
		return sha256.Sum256([]byte("lockstep simulated device: vmm-sim")), nil
	}
	device, err := onchain.ParseDeviceID(s.deviceID)
	return device, err
}

// authorizer is the KMS that guests ask.
func (s *vmmSim) authorizer(ctx context.Context) (kms.Authorizer, func(), error) {
	if s.authorize != "" {
		if s.authorize != allowAll || s.rpcURL != "" || s.kmsContract != "" {
			return nil, nil, fmt.Errorf("--kms-authorize is %q, want %s without --rpc-url and --kms-contract", s.authorize, allowAll)
		}
		return kms.AuthorizerFunc(func(context.Context, kms.BootInfo) (kms.Decision, error) {
			return kms.Decision{Allowed: true}, nil
		}), func() {}, nil
	}
	if s.rpcURL == "" || !common.IsHexAddress(s.kmsContract) {
		return nil, nil, errors.New("want --kms-authorize allow-all, or --rpc-url with --kms-contract as 0x and 40 hex digits")
	}
	client, err := ethclient.DialContext(ctx, s.rpcURL)
	if err != nil {
		return nil, nil, fmt.Errorf("--rpc-url: %w", err)
	}
	return kms.OnChainAuthorizer{Contract: contractAllower{client, common.HexToAddress(s.kmsContract)}}, client.Close, nil
}

// contractAllower asks a KMS contract.
type contractAllower struct {
	caller   onchain.Caller
	contract common.Address
}

// IsAppAllowed implements kms.AppAllower.
func (c contractAllower) IsAppAllowed(ctx context.Context, info kms.BootInfo) (bool, string, error) {
	decision, err := onchain.IsAppAllowed(ctx, c.caller, c.contract, onchain.AppBootInfo{
		AppID: info.AppID, ComposeHash: info.ComposeHash, InstanceID: common.BytesToAddress(info.InstanceID),
		DeviceID: info.DeviceID, MRAggregated: info.MRAggregated, MRSystem: info.MRSystem, OSImageHash: info.OSImageHash,
		TCBStatus: info.TCBStatus, AdvisoryIDs: info.AdvisoryIDs,
	})
	return decision.Allowed, decision.Reason, err
}

// vmmSimReady is what the ready file holds.
type vmmSimReady struct {
	URL      string `json:"url"`                 // http://HOST:PORT or unix:PATH
	AgentURL string `json:"agent_url,omitempty"` // http://HOST:PORT
	DeviceID string `json:"device_id"`           // 64 hex
	PID      int    `json:"pid"`
}

func (s *vmmSim) serve(cmd *cobra.Command, config vmmtest.Config) error {
	ready := vmmSimReady{DeviceID: hex.EncodeToString(config.DeviceID[:]), PID: os.Getpid()}
	listener, err := listenVMM(cmd.Context(), s.listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	var agents net.Listener
	if s.agentListen != "" {
		if agents, err = listenVMM(cmd.Context(), s.agentListen); err != nil {
			return err
		}
		defer agents.Close()
		ready.AgentURL = vmmURL(agents)
		config.Meta.Gateway = &vmmrpc.GatewaySettings{BaseDomain: "gateway.vmm.test", Port: 443, AgentPort: 8090}
	}
	ready.URL = vmmURL(listener)
	vmm, err := vmmtest.New(config)
	if err != nil {
		return err
	}
	// Followed logs never end by themselves: the servers are closed, not drained.
	served := make(chan error, 2)
	server := &http.Server{Handler: vmm.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { served <- server.Serve(listener) }()
	agentServer := &http.Server{Handler: vmm.AgentHandler(), ReadHeaderTimeout: 10 * time.Second}
	if agents != nil {
		go func() { served <- agentServer.Serve(agents) }()
	}
	if err = s.announce(cmd, ready); err == nil {
		select {
		case <-cmd.Context().Done():
		case err = <-served:
		}
	}
	if s.readyFile != "" {
		_ = os.Remove(s.readyFile) // what it says is no longer true
	}
	return errors.Join(err, server.Close(), agentServer.Close(), vmm.Close())
}

func (s *vmmSim) announce(cmd *cobra.Command, ready vmmSimReady) error {
	if s.readyFile != "" {
		text, err := json.MarshalIndent(ready, "", "  ")
		if err != nil {
			return err
		}
		temporary := s.readyFile + ".tmp"
		if err := os.WriteFile(temporary, append(text, '\n'), 0o600); err != nil {
			return err
		}
		if err := os.Rename(temporary, s.readyFile); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "Simulated dstack host (no TEE) at %s, device id %s\n", ready.URL, ready.DeviceID)
	return err
}

const unixScheme = "unix:"

// listenVMM listens on HOST:PORT or unix:PATH. A socket that a killed process left is replaced.
func listenVMM(ctx context.Context, address string) (net.Listener, error) {
	path, isUnix := strings.CutPrefix(address, unixScheme)
	if !isUnix {
		return (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	}
	if conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path); err == nil {
		conn.Close()
		return nil, fmt.Errorf("somebody listens on %s already", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	return (&net.ListenConfig{}).Listen(ctx, "unix", path)
}

func vmmURL(l net.Listener) string {
	if l.Addr().Network() != "unix" {
		return "http://" + l.Addr().String()
	}
	path := l.Addr().String()
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	return unixScheme + path
}
