package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/keystore"
	"github.com/ethereum/go-ethereum/common"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// ownerFlags say with which key the owner approves, and through which node.
type ownerFlags struct {
	privateKeyFile string
	keystoreFile   string
	passwordFile   string
	rpcURL         string
}

func (f *ownerFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.privateKeyFile, "private-key-file", "", "file with the owner's private key in hex (or LOCKSTEP_PRIVATE_KEY, PRIVATE_KEY)")
	flags.StringVar(&f.keystoreFile, "keystore", "", "go-ethereum keystore file with the owner's key")
	flags.StringVar(&f.passwordFile, "password-file", "", "file with the password of the keystore (default: asked for)")
	flags.StringVar(&f.rpcURL, "rpc-url", "", "JSON-RPC endpoint of the chain (or LOCKSTEP_RPC_URL, ETH_RPC_URL; default: what the server names)")
}

// errNoKey tells how to give a key. The approval itself can also come from elsewhere.
var errNoKey = errors.New("an approval on chain is needed, and no key was given: use --private-key-file, --keystore or LOCKSTEP_PRIVATE_KEY")

// key finds the owner's key.
func (f *ownerFlags) key(cmd *cobra.Command) (*ecdsa.PrivateKey, error) {
	switch {
	case f.keystoreFile != "":
		return f.fromKeystore(cmd)
	case f.privateKeyFile != "":
		text, err := os.ReadFile(f.privateKeyFile)
		if err != nil {
			return nil, err
		}
		return onchain.ParsePrivateKey(strings.TrimSpace(string(text)))
	}
	if text := firstOf(os.Getenv("LOCKSTEP_PRIVATE_KEY"), os.Getenv("PRIVATE_KEY")); text != "" {
		return onchain.ParsePrivateKey(strings.TrimSpace(text))
	}
	return nil, errNoKey
}

func (f *ownerFlags) fromKeystore(cmd *cobra.Command) (*ecdsa.PrivateKey, error) {
	sealed, err := os.ReadFile(f.keystoreFile)
	if err != nil {
		return nil, err
	}
	password, err := f.password(cmd)
	if err != nil {
		return nil, err
	}
	key, err := keystore.DecryptKey(sealed, password)
	if err != nil {
		return nil, fmt.Errorf("keystore %s: %w", f.keystoreFile, err)
	}
	return key.PrivateKey, nil
}

func (f *ownerFlags) password(cmd *cobra.Command) (string, error) {
	if f.passwordFile != "" {
		text, err := os.ReadFile(f.passwordFile)
		return strings.TrimRight(string(text), "\r\n"), err
	}
	stdin, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(stdin.Fd())) {
		return "", errors.New("the keystore needs a password: use --password-file where nobody can be asked")
	}
	if _, err := fmt.Fprintf(cmd.ErrOrStderr(), "Password of %s: ", f.keystoreFile); err != nil {
		return "", err
	}
	password, err := term.ReadPassword(int(stdin.Fd()))
	_, _ = fmt.Fprintln(cmd.ErrOrStderr()) // the line that ReadPassword did not echo
	return string(bytes.TrimRight(password, "\r\n")), err
}

// ownerApprover registers compose hashes with the owner's key.
type ownerApprover struct {
	flags    *ownerFlags
	prompt   *cobra.Command
	progress *progress
}

// Approve implements lockstep.Approver. It looks at the contract before it spends anything.
func (a *ownerApprover) Approve(ctx context.Context, approval lockstep.Approval) (string, error) {
	chain, err := a.chain(approval)
	if err != nil {
		return "", err
	}
	client, err := onchain.Dial(ctx, chain)
	if err != nil {
		return "", err
	}
	defer client.Close()
	contract, hash, err := target(approval)
	if err != nil {
		return "", err
	}
	if err := a.allowDevice(ctx, client, chain, contract, approval.DeviceID); err != nil {
		return "", err
	}
	if tx, done, err := alreadyAllowed(ctx, client, contract, hash, approval.PreviousTransaction); done || err != nil {
		return tx, err
	}
	key, err := a.flags.key(a.prompt)
	if err != nil {
		return "", err
	}
	request := onchain.AddComposeHashRequest{
		WriteOptions: onchain.WriteOptions{
			Backend: client, ChainID: chain.ChainID, PrivateKey: key,
			OnTransactionSubmitted: func(tx common.Hash) { a.progress.say("sent addComposeHash, transaction " + tx.Hex()) },
		},
		AppID: contract, ComposeHash: hash,
	}
	if approval.KMS.KMSContractAddress != nil {
		request.KMSContract = common.HexToAddress(*approval.KMS.KMSContractAddress)
	}
	result, err := onchain.AddComposeHash(ctx, request)
	if late, ok := errors.AsType[*onchain.ReceiptTimeoutError](err); ok {
		return late.TxHash.Hex(), err // it may still be mined: the next call looks for it first
	}
	if err != nil {
		return "", err
	}
	return result.TransactionHash.Hex(), nil
}

func (a *ownerApprover) chain(approval lockstep.Approval) (onchain.ChainConfig, error) {
	var config onchain.ChainConfig
	if approval.KMS.ChainID != nil {
		config.ChainID = uint64(*approval.KMS.ChainID)
	}
	if url := firstOf(a.flags.rpcURL, os.Getenv("LOCKSTEP_RPC_URL"), os.Getenv("ETH_RPC_URL")); url != "" {
		config.RPCURLs = []string{url}
	} else if approval.KMS.Chain != nil {
		config.RPCURLs = approval.KMS.Chain.RPCURLs["default"].HTTP
	}
	if len(config.RPCURLs) == 0 {
		return config, fmt.Errorf("no JSON-RPC endpoint of chain %d is known: use --rpc-url or ETH_RPC_URL", config.ChainID)
	}
	return config, nil
}

func target(approval lockstep.Approval) (common.Address, common.Hash, error) {
	contract, err := onchain.ParseAppID(approval.AppID)
	if err != nil {
		return contract, common.Hash{}, err
	}
	hash, err := onchain.ParseComposeHash(approval.ComposeHash)
	return contract, hash, err
}

// allowDevice adds the device that the CVM runs on, when the contract does not allow it yet: without it
// the next boot would be refused, however right the compose hash is.
func (a *ownerApprover) allowDevice(ctx context.Context, client onchain.Backend, chain onchain.ChainConfig, contract common.Address, deviceID string) error {
	if deviceID == "" {
		return nil
	}
	device, err := onchain.ParseDeviceID(deviceID)
	if err != nil {
		return err
	}
	allowed, err := onchain.IsDeviceAllowed(ctx, client, contract, device)
	if err != nil || allowed {
		return err
	}
	key, err := a.flags.key(a.prompt)
	if err != nil {
		return err
	}
	a.progress.say("the contract does not allow the device " + deviceID + " yet; adding it")
	_, err = onchain.AddDevice(ctx, onchain.WriteOptions{Backend: client, ChainID: chain.ChainID, PrivateKey: key}, contract, device)
	return err
}

// alreadyAllowed finds an approval that is there: of an earlier run, or of somebody else.
func alreadyAllowed(ctx context.Context, client onchain.Backend, contract common.Address, hash common.Hash, previous string) (string, bool, error) {
	allowed, err := onchain.IsComposeHashAllowed(ctx, client, contract, hash)
	if err != nil || !allowed {
		return "", false, err
	}
	if previous != "" {
		return previous, true, nil
	}
	return lockstep.AlreadyRegistered, true, nil
}

// checkpointName is a file name for an update of one CVM through one API.
func checkpointName(apiURL, cvm string) string {
	sum := sha256.Sum256([]byte(apiURL + "\n" + cvm))
	return hex.EncodeToString(sum[:16]) + ".json"
}
