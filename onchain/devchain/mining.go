package devchain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/log"
)

var errClosed = errors.New("devchain: the chain is closed")

// mine starts the goroutine that makes blocks as the configuration asks.
func (c *Chain) mine(cfg Config) {
	var arrived chan core.NewTxsEvent // nil, and so never ready, in manual mode
	unsubscribe := func() {}
	if !cfg.Manual {
		arrived = make(chan core.NewTxsEvent, 16)
		// Transactions that a reorg threw back into the pool do not count:
		// RollbackTo drops them.
		sub := c.backend.TxPool().SubscribeTransactions(arrived, false)
		unsubscribe = sub.Unsubscribe
	}
	var tick <-chan time.Time
	stopTicker := func() {}
	if cfg.Period > 0 {
		ticker := time.NewTicker(cfg.Period)
		tick, stopTicker = ticker.C, ticker.Stop
	}
	c.miners.Add(1)
	go func() {
		defer c.miners.Done()
		defer stopTicker()
		defer unsubscribe()
		for {
			select {
			case <-c.stop:
				return
			case <-arrived:
				c.mineExecutable()
			case <-tick:
				c.Mine(1)
			}
		}
	}()
}

// mineExecutable makes blocks until the pool has nothing that can run, or a
// block took nothing of it, as with a fee cap below the base fee.
func (c *Chain) mineExecutable() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closed {
		// The pool moves transactions between its queues in the background;
		// only after Sync does its count hold for the newest block.
		if c.backend.TxPool().Sync() != nil {
			return // the pool is closed
		}
		if executable, _ := c.backend.TxPool().Stats(); executable == 0 {
			return
		}
		block := c.backend.BlockChain().GetBlockByHash(c.commit())
		if block == nil || len(block.Transactions()) == 0 {
			return
		}
	}
}

// Mine makes n blocks and returns the hash of the newest. The first takes what
// the pool holds.
func (c *Chain) Mine(n int) common.Hash {
	c.mu.Lock()
	defer c.mu.Unlock()
	head := c.backend.BlockChain().CurrentBlock().Hash()
	for range n {
		if c.closed {
			break
		}
		head = c.commit()
	}
	return head
}

// AdvanceTime makes one block that is d (in whole seconds) younger than the
// newest. It fails while transactions wait in the pool.
func (c *Chain) AdvanceTime(d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	if err := c.backend.TxPool().Sync(); err != nil {
		return fmt.Errorf("devchain: transaction pool: %w", err)
	}
	if err := c.beacon.AdjustTime(d); err != nil {
		return fmt.Errorf("devchain: advance time by %s: %w", d, err)
	}
	c.persist()
	return nil
}

// RollbackTo makes the block with that number the newest again, as a reorg
// does. The transactions of the blocks above it vanish, from the pool as well:
// they come back only when they are sent again. Mine afterwards grows another
// branch, with other block hashes.
func (c *Chain) RollbackTo(number uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	hash := c.backend.BlockChain().GetCanonicalHash(number)
	if hash == (common.Hash{}) {
		head := c.backend.BlockChain().CurrentBlock().Number
		return fmt.Errorf("devchain: roll back to block %d: the newest is %s", number, head)
	}
	// Fork refuses to start from a pool that holds something.
	c.backend.TxPool().Clear()
	if err := c.beacon.Fork(hash); err != nil {
		return fmt.Errorf("devchain: roll back to block %d: %w", number, err)
	}
	// The pool takes back in what the dropped blocks held.
	if err := c.backend.TxPool().Sync(); err != nil {
		return fmt.Errorf("devchain: transaction pool: %w", err)
	}
	c.backend.TxPool().Clear()
	c.persist()
	return nil
}

// commit makes one block; the caller holds the lock.
func (c *Chain) commit() common.Hash {
	hash := c.beacon.Commit()
	c.persist()
	return hash
}

// persist waits until the newest block is on disk. Without it, go-ethereum's
// database keeps its log in the process for a moment, and whoever was told of a
// block could find it gone after a crash.
func (c *Chain) persist() {
	if !c.onDisk {
		return
	}
	if err := c.backend.ChainDb().SyncKeyValue(); err != nil {
		log.Warn("The newest block may be lost in a crash", "err", err)
	}
}

// indexFirstBlock makes block 1 of a new chain. Before that, go-ethereum's
// transaction index does not count as complete, and a question for an unknown
// transaction is an error instead of null.
func (c *Chain) indexFirstBlock(ctx context.Context) error {
	if c.backend.BlockChain().CurrentBlock().Number.Sign() == 0 {
		c.Mine(1)
	}
	ticker := time.NewTicker(100 * time.Microsecond)
	defer ticker.Stop()
	for !c.backend.APIBackend.TxIndexDone() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}
