package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/ethclient"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/internal/app"
	"github.com/lockstep-cvm/lockstep/internal/devcloud"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

// cloud is what the story plays in: the running cloud as its users reach it, and the node as its operator
// does.
type cloud struct {
	ready    devcloud.Ready
	user     *lockstep.Client  // with a key of the workspace that the CVMs belong to
	http     *http.Client      // for what the SDK refuses to send
	eth      *ethclient.Client // over JSON-RPC, as an owner's wallet
	kms      common.Address
	owner    devchain.Account
	stranger devchain.Account
	node     runtime.Runtime
	faults   *sim.Faults

	dir string
	dev *devcloud.Cloud
}

// open starts the cloud in a temporary folder, on ports that are free.
func open(ctx context.Context, config Config) (_ *cloud, err error) {
	c := &cloud{faults: sim.NewFaults()}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close(context.WithoutCancel(ctx)))
		}
	}()
	if c.dir, err = os.MkdirTemp("", "lockstep-demo-"); err != nil {
		return nil, err
	}
	const anyPort = "127.0.0.1:0"
	c.dev, err = devcloud.Start(ctx, devcloud.Config{
		Listen: anyPort, RPCListen: anyPort, DataDir: c.dir, Logger: config.Logger, Pace: config.Pace, Faults: c.faults,
	})
	if err != nil {
		return nil, err
	}
	c.ready = c.dev.Ready
	c.kms = common.HexToAddress(c.ready.KMSContract)
	accounts := devchain.DevAccounts()
	c.owner, c.stranger = accounts[0], accounts[1]
	c.node = c.dev.Server.Control.Catalog().Nodes()[0].Runtime
	if c.eth, err = onchain.Dial(ctx, onchain.ChainConfig{ChainID: c.ready.ChainID, RPCURLs: []string{c.ready.RPCURL}}); err != nil {
		return nil, err
	}
	return c, c.connect(http.DefaultTransport.(*http.Transport).Clone())
}

// connect makes the clients of the user, which send through a transport.
func (c *cloud) connect(transport http.RoundTripper) error {
	c.http = &http.Client{Transport: transport}
	var err error
	c.user, err = lockstep.NewClient(
		lockstep.WithBaseURL(c.ready.APIURL), lockstep.WithAPIKey(c.ready.APIKey), lockstep.WithHTTPClient(c.http),
		lockstep.WithRetries(0), // a refusal is to be seen, not waited out
		lockstep.WithUserAgent("lockstep-demo/"+app.Version()),
	)
	return err
}

// close ends the cloud and removes its folder.
func (c *cloud) close(ctx context.Context) error {
	var errs []error
	if c.http != nil {
		c.http.CloseIdleConnections()
	}
	if c.eth != nil {
		c.eth.Close()
	}
	if c.dev != nil {
		errs = append(errs, c.dev.Close(ctx))
	}
	if c.dir != "" {
		errs = append(errs, os.RemoveAll(c.dir))
	}
	return errors.Join(errs...)
}

// database looks whether the state really is an SQLite file on the disk.
func (c *cloud) database() error {
	path := filepath.Join(c.dir, "lockstep.db")
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if magic := []byte("SQLite format 3\x00"); !bytes.HasPrefix(content, magic) {
		return fmt.Errorf("%s is no SQLite database", filepath.Base(path))
	}
	return nil
}
