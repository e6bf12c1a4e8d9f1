package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

var slugPattern = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9])*$`)

// EnsureWorkspace returns the workspace with this slug and makes it when it is not there.
func (s *Service) EnsureWorkspace(ctx context.Context, slug, name string) (store.Workspace, error) {
	if len(slug) > 63 || !slugPattern.MatchString(slug) {
		return store.Workspace{}, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "bad workspace slug").
			With("slug", slug, "up to 63 lower-case letters, digits and single hyphens")
	}
	id, err := s.newID("wks_")
	if err != nil {
		return store.Workspace{}, err
	}
	// App ids of CVMs with an off-chain KMS are the CREATE addresses of a wallet that nobody has the
	// key of: unique to the workspace, and predictable for its members.
	var wallet common.Address
	if _, err := io.ReadFull(s.rand, wallet[:]); err != nil {
		return store.Workspace{}, fmt.Errorf("random wallet: %w", err)
	}
	var workspace store.Workspace
	err = s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		workspace, err = tx.GetWorkspaceBySlug(ctx, slug)
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		workspace = store.Workspace{ID: id, Slug: slug, Name: name, WalletAddress: wallet.Hex(), CreatedAt: column.At(s.clock.Now())}
		return tx.InsertWorkspace(ctx, store.InsertWorkspaceParams{
			ID: workspace.ID, Slug: slug, Name: name, WalletAddress: workspace.WalletAddress, CreatedAt: workspace.CreatedAt,
		})
	})
	return workspace, err
}

// appIDAt is the app id that the workspace's wallet gives at a nonce.
func appIDAt(workspace store.Workspace, nonce int64) string {
	address := crypto.CreateAddress(common.HexToAddress(workspace.WalletAddress), uint64(nonce))
	return common.Bytes2Hex(address[:])
}

// MaxNextAppIDs is how many app ids can be asked for at once (GET /kms/phala/next_app_id).
const MaxNextAppIDs = 20

// NextAppIDs predicts the app ids of the next CVMs with an off-chain KMS.
func (s *Service) NextAppIDs(ctx context.Context, p Principal, count int) ([]api.NextAppID, error) {
	if count < 1 || count > MaxNextAppIDs {
		return nil, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "bad count").
			With("counts", count, fmt.Sprintf("1 to %d", MaxNextAppIDs))
	}
	workspace, err := s.store.Read().GetWorkspace(ctx, p.Workspace.ID)
	if err != nil {
		return nil, err
	}
	ids := make([]api.NextAppID, count)
	for i := range ids {
		nonce := workspace.NextNonce + int64(i)
		ids[i] = api.NextAppID{AppID: appIDAt(workspace, nonce), Nonce: nonce}
	}
	return ids, nil
}
