package app

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/kms/dstackkms"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// rootKeyKept is how long the root key that a KMS contract names is remembered.
const rootKeyKept = time.Minute

// remoteKMS lets a KMS take its keys from the dstack-kms at its URL. It need not answer now.
func (b *builder) remoteKMS(c KMSConfig, service *control.KMS) error {
	anchor, err := anchorOf(c, service)
	if err != nil {
		return err
	}
	files := tlsFiles{ca: c.CAFile, serverName: c.ServerName}
	security, err := files.config()
	if err != nil {
		return err
	}
	if c.InsecureSkipVerify {
		if security == nil {
			security = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		security.InsecureSkipVerify = true // the answers are signed by the root key, and that is checked
	}
	client, err := dstackkms.New(dstackkms.Config{URL: c.URL, Anchor: anchor, TLS: security, AllowUnstamped: c.AllowUnstamped})
	if err != nil {
		return err
	}
	b.platform.closers = append(b.platform.closers, client.Close)
	service.Keys = client
	return nil
}

// anchorOf is the root key that is trusted: the one in the settings, or the one that the KMS contract names.
func anchorOf(c KMSConfig, service *control.KMS) (dstackkms.Anchor, error) {
	if c.K256Pubkey != "" {
		key, err := hex.DecodeString(strings.TrimPrefix(c.K256Pubkey, "0x"))
		if err != nil {
			return nil, fmt.Errorf("k256_pubkey is %q, want hex", c.K256Pubkey)
		}
		return dstackkms.Pinned(key)
	}
	reader, ok := service.Contracts.(chainReader)
	if !ok {
		return nil, errors.New("neither keys_dir, for the embedded KMS, nor k256_pubkey, the root key of the dstack-kms at url, is given")
	}
	return dstackkms.Cached(reader.rootKey, rootKeyKept, wallClock{}.Now), nil
}

// rootKey reads kmsInfo().k256Pubkey.
func (r chainReader) rootKey(ctx context.Context) ([]byte, error) {
	info, err := onchain.ReadKMSInfo(ctx, r.caller, r.contract)
	return info.K256Pubkey, err
}
