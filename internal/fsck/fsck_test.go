package fsck_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/devcloud"
	"github.com/lockstep-cvm/lockstep/internal/fsck"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

const (
	good = "services:\n  web:\n    image: nginx:1.27\n"
	bad  = "services:\n  web:\n    image: nginx:1.28\n    labels:\n      lockstep.sim.boot-error: no space left\n"
)

// usedDatabase is the database of a cloud in which an update succeeded, one was rolled back and one awaits
// its approval, and in which a fleet rollout succeeded and another was rolled back.
func usedDatabase(t *testing.T, databaseURL string) {
	t.Helper()
	cloud, err := devcloud.Start(t.Context(), devcloud.Config{
		Listen: "127.0.0.1:0", RPCListen: "127.0.0.1:0", DataDir: t.TempDir(), DatabaseURL: databaseURL, ChainID: 1337, Pace: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cloud.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	client, err := lockstep.NewClient(lockstep.WithAPIKey(cloud.Ready.APIKey), lockstep.WithBaseURL(cloud.Ready.APIURL))
	if err != nil {
		t.Fatal(err)
	}
	first, err := client.GetCVM(t.Context(), devcloud.OffChainCVM)
	if err != nil {
		t.Fatal(err)
	}
	for _, yaml := range []string{good, bad} {
		if _, err := client.UpdateDockerCompose(t.Context(), devcloud.OffChainCVM, yaml); err != nil {
			t.Fatal(err)
		}
		settle(t, cloud)
	}
	if _, err := client.UpdateDockerCompose(t.Context(), devcloud.OnChainCVM, good); err != nil {
		t.Fatal(err)
	}
	rollFleet(t, client, *first.AppID, *first.ComposeHash)
	restart(t, cloud)
}

// restart restarts the CVM with the on-chain KMS and waits until it runs again.
func restart(t *testing.T, cloud *devcloud.Cloud) {
	t.Helper()
	principal, err := cloud.Server.Control.Authenticate(t.Context(), cloud.Ready.APIKey)
	if err != nil {
		t.Fatal(err)
	}
	cvm, err := cloud.Server.Control.Power(t.Context(), principal, devcloud.OnChainCVM, control.PowerRequest{Kind: column.PowerRestart})
	if err != nil {
		t.Fatal(err)
	}
	changed, stop := cloud.Server.Control.Watch(cvm.Row.ID)
	defer stop()
	for {
		if cvm, err = cloud.Server.Control.CVM(t.Context(), principal, devcloud.OnChainCVM); err != nil {
			t.Fatal(err)
		}
		if !cvm.Busy() {
			return
		}
		<-changed
	}
}

// rollFleet adds a replica, takes both CVMs back to a document that ran, and then to one that does not boot.
func rollFleet(t *testing.T, client *lockstep.Client, app, ran string) {
	t.Helper()
	replica, err := client.CreateReplica(t.Context(), devcloud.OffChainCVM, api.ReplicateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for event, err := range client.WatchCVMState(t.Context(), *replica.VMUUID, lockstep.WatchOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if event.Name == api.EventComplete {
			break
		}
	}
	for _, step := range []struct {
		hash string
		want api.RolloutState
	}{{ran, api.RolloutSucceeded}, {hashOf(t, client, bad), api.RolloutRolledBack}} {
		rollout, err := client.StartRollout(t.Context(), app, api.RolloutRequest{ComposeHash: step.hash, MinReady: new(int)})
		if err != nil {
			t.Fatal(err)
		}
		rollout, err = client.WaitRollout(t.Context(), app, rollout.RolloutID, time.Millisecond)
		if rollout == nil || rollout.State != step.want {
			t.Fatalf("rollout to %s: %+v, %v", step.hash, rollout, err)
		}
	}
}

// hashOf is the compose hash of the document that the first CVM would have with a Compose file.
func hashOf(t *testing.T, client *lockstep.Client, compose string) string {
	t.Helper()
	file, err := client.GetCVMComposeFile(t.Context(), devcloud.OffChainCVM)
	if err != nil {
		t.Fatal(err)
	}
	document, err := appcompose.Parse(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if document, err = document.Edit(appcompose.SetDockerComposeFile(compose)); err != nil {
		t.Fatal(err)
	}
	return document.Hash().String()
}

// settle waits until nothing rolls any more.
func settle(t *testing.T, cloud *devcloud.Cloud) {
	t.Helper()
	principal, err := cloud.Server.Control.Authenticate(t.Context(), cloud.Ready.APIKey)
	if err != nil {
		t.Fatal(err)
	}
	for {
		cvm, err := cloud.Server.Control.CVM(t.Context(), principal, devcloud.OffChainCVM)
		if err != nil {
			t.Fatal(err)
		}
		changed, stop := cloud.Server.Control.Watch(cvm.Row.ID)
		cvm, err = cloud.Server.Control.CVM(t.Context(), principal, devcloud.OffChainCVM)
		if err != nil {
			t.Fatal(err)
		}
		if cvm.Active == nil {
			stop()
			return
		}
		<-changed
		stop()
	}
}

func open(t *testing.T, databaseURL string) *store.Store {
	t.Helper()
	db, err := store.Open(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // the file is thrown away
	return db
}

func TestMain(m *testing.M) { storetest.Main(m) }

// TestPostgres finds a used database sound, and then one damage. The rules are the same for all engines.
func TestPostgres(t *testing.T) {
	databaseURL := storetest.Postgres(t)
	usedDatabase(t, databaseURL)
	db := open(t, databaseURL)
	sound, err := fsck.Check(t.Context(), db, fsck.Options{Now: time.Now()})
	if err != nil || !sound.OK || sound.Rows["updates"] != 9 {
		t.Fatalf("a sound database: %+v, %v", sound, err)
	}
	storetest.Execute(t, databaseURL, `UPDATE documents SET bytes = bytes || ' '::bytea`)
	damaged, err := fsck.Check(t.Context(), db, fsck.Options{Now: time.Now()})
	if err != nil || damaged.OK || !strings.Contains(damaged.Findings[0].Rule, "SHA-256 of the bytes") {
		t.Errorf("a damaged database: %+v, %v", damaged, err)
	}
}

// TestEveryDamageIsFound does one damage after another to a copy of a sound database.
func TestEveryDamageIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lockstep.db")
	usedDatabase(t, "sqlite:"+path)
	sound, err := fsck.Check(t.Context(), open(t, "sqlite:"+path), fsck.Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if !sound.OK || sound.Rows["updates"] != 9 || sound.Rows["rollouts"] != 2 || sound.Rows["rollout_targets"] != 4 ||
		sound.Rows["documents"] == 0 || sound.Rows["revisions"] == 0 || sound.Rows["power_operations"] != 1 || sound.Rows["power_events"] < 4 {
		t.Fatalf("a sound database: %+v", sound)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const offchain = `(SELECT id FROM cvms WHERE name = 'demo-offchain')`
	const onchain = `(SELECT id FROM cvms WHERE name = 'demo-onchain')`
	for _, test := range []struct{ damage, table, rule string }{
		{`UPDATE documents SET bytes = bytes || ' '`, "documents", "SHA-256 of the bytes"},
		{`UPDATE updates SET reason = '' WHERE state = 'succeeded'`, "updates", "has a reason"},
		{`UPDATE updates SET finished_at = NULL WHERE state = 'rolled_back'`, "updates", "finished_at"},
		{`UPDATE updates SET state = 'verifying', finished_at = NULL WHERE id = (SELECT MIN(id) FROM updates WHERE state = 'rolled_back')`, "updates", "owns its CVM"},
		{`UPDATE updates SET state = 'failed' WHERE state = 'rolled_back'`, "updates", "last step leads"},
		{`UPDATE updates SET state = 'failed' WHERE state = 'rolled_back'`, "cvms", "status is error"},
		{`UPDATE updates SET expires_at = created_at - 600000000 WHERE state = 'awaiting_approval'`, "updates", "expires in time"},
		{`UPDATE updates SET from_revision_id = 'rev_none' WHERE state = 'rolled_back'`, "updates", "starts from exists"},
		{`UPDATE updates SET from_revision_id = '' WHERE state = 'rolled_back'`, "updates", "starts from nothing"},
		{`DELETE FROM update_events WHERE seq = 2`, "updates", "without a gap"},
		{`DELETE FROM update_events WHERE seq = 3`, "updates", "begins where the one before ended"},
		{`DELETE FROM update_events`, "updates", "has a history"},
		{`UPDATE update_events SET to_state = 'succeeded' WHERE to_state = 'rolling_out'`, "updates", "transition of the state machine"},
		{`UPDATE update_events SET actor = '' WHERE seq = 1`, "updates", "reason and an actor"},
		{`DELETE FROM revisions WHERE update_id IN (SELECT id FROM updates WHERE state = 'rolled_back')`, "updates", "accepted is a revision"},
		{`DELETE FROM revisions`, "cvms", "its revision exists"},
		{`UPDATE revisions SET compose_hash = (SELECT compose_hash FROM updates WHERE state = 'awaiting_approval')`, "updates", "document of its update"},
		{`UPDATE revisions SET update_id = 'upd_' || update_id`, "revisions", "its update exists"},
		{`UPDATE cvms SET active_update_id = (SELECT id FROM updates WHERE state = 'rolled_back') WHERE id = ` + offchain, "cvms", "exists and is under way"},
		{`UPDATE cvms SET status = 'error' WHERE id = ` + offchain, "cvms", "status is error"},
		{`UPDATE cvms SET status = 'stopped' WHERE id = ` + onchain, "cvms", "newest power operation led to"},
		{`UPDATE power_operations SET reason = ''`, "power_operations", "has a reason"},
		{`UPDATE power_operations SET finished_at = NULL`, "power_operations", "finished_at"},
		{`UPDATE power_operations SET state = 'booting', finished_at = NULL`, "power_operations", "owns its CVM"},
		{`UPDATE power_operations SET state = 'queued', finished_at = NULL, state_since = 1`, "power_operations", "gets its turn"},
		{`UPDATE power_operations SET kind = 'delete'`, "power_operations", "marked so"},
		{`UPDATE power_operations SET state = 'failed'`, "power_operations", "last step leads"},
		{`UPDATE power_operations SET cvm_id = 4711`, "power_operations", "its CVM exists"},
		{`UPDATE power_events SET to_state = 'removing' WHERE to_state = 'starting'`, "power_operations", "transition of the state machine"},
		{`UPDATE power_events SET actor = '' WHERE seq = 1`, "power_operations", "reason and an actor"},
		{`DELETE FROM power_events WHERE seq = 2`, "power_operations", "without a gap"},
		{`DELETE FROM power_events WHERE seq = 3`, "power_operations", "begins where the one before ended"},
		{`DELETE FROM power_events`, "power_operations", "has a history"},
		{`DELETE FROM power_events WHERE seq = (SELECT MAX(seq) FROM power_events)`, "power_operations", "recorded in the history"},
		{`UPDATE power_events SET reason = 'for no reason' WHERE seq = 2`, "power_operations", "says the same"},
		{`UPDATE power_events SET actor = 'nobody' WHERE seq = 1`, "power_operations", "says the same"},
		{`UPDATE power_operations SET id = 'pow_other' WHERE id = (SELECT MIN(id) FROM power_operations)`, "power_operations", "has its step"},
		{`UPDATE power_events SET to_state = 'starting' WHERE seq = 1`, "power_operations", "pending or queued"},
		{`UPDATE cvms SET active_update_id = (SELECT id FROM power_operations)`, "power_operations", "only while it is under way"},
		{`UPDATE cvms SET revision_id = (SELECT revision_id FROM cvms WHERE id = ` + onchain + `) WHERE id = ` + offchain, "cvms", "its own"},
		{`UPDATE cvms SET revision_id = (SELECT id FROM revisions WHERE cvm_id = ` + offchain + ` ORDER BY created_at DESC LIMIT 1)
		  WHERE id = ` + offchain, "cvms", "did not succeed"},
		{`DELETE FROM history_entries WHERE seq = 3`, "histories", "are a chain"},
		{`DELETE FROM history_entries WHERE seq = (SELECT MAX(e.seq) FROM history_entries e WHERE e.app_id = history_entries.app_id)`, "histories", "ends with its head"},
		{`UPDATE history_entries SET bytes = bytes || X'00' WHERE seq = 2`, "histories", "has its form"},
		{`UPDATE history_entries SET hash = lower(hex(randomblob(32))) WHERE seq = 2`, "histories", "where it belongs"},
		{`UPDATE histories SET hash = lower(hex(randomblob(32)))`, "histories", "ends with its head"},
		{`UPDATE update_events SET history_seq = 0, created_at = created_at - 600000000 WHERE seq = 2`, "updates", "recorded in the history"},
		{`UPDATE update_events SET history_seq = 9999 WHERE seq = 2`, "updates", "recorded in the history"},
		{`UPDATE update_events SET history_seq = history_seq - 1 WHERE seq = 3`, "updates", "says the same"},
		{`UPDATE update_events SET history_seq = 0 WHERE seq = 2`, "histories", "has its step"},
		{`UPDATE rollouts SET reason = ''`, "rollouts", "every state has a reason"},
		{`UPDATE rollouts SET finished_at = NULL`, "rollouts", "finished_at"},
		{`UPDATE rollouts SET state = 'failed' WHERE state = 'rolled_back'`, "rollouts", "last step leads"},
		{`UPDATE rollouts SET state = 'failed' WHERE state = 'rolled_back'`, "rollouts", "could not go back"},
		{`DELETE FROM rollout_events`, "rollouts", "has a history"},
		{`DELETE FROM rollout_events WHERE seq = 2`, "rollouts", "without a gap"},
		{`DELETE FROM rollout_events WHERE seq = 2`, "rollouts", "begins where the one before ended"},
		{`UPDATE rollout_events SET to_state = 'paused' WHERE seq = 1`, "rollouts", "begins with running"},
		{`UPDATE rollout_events SET to_state = 'rolled_back', from_state = 'running' WHERE seq = 2`, "rollouts", "transition of the state machine"},
		{`UPDATE rollout_events SET actor = ''`, "rollouts", "reason and an actor"},
		{`DELETE FROM rollout_targets`, "rollouts", "has CVMs"},
		{`DELETE FROM rollout_targets WHERE position = 0`, "rollouts", "count from 0"},
		{`UPDATE rollout_targets SET batch = 7`, "rollouts", "batches follow"},
		{`UPDATE rollout_targets SET reason = ''`, "rollouts", "every CVM of it has a reason"},
		{`UPDATE rollout_targets SET cvm_id = cvm_id + 1000`, "rollouts", "CVMs exist"},
		{`UPDATE rollout_targets SET vm_uuid = 'x'`, "rollouts", "of its app"},
		{`UPDATE rollout_targets SET state = 'updating' WHERE state = 'done'`, "rollouts", "nothing is under way"},
		{`UPDATE rollout_targets SET state = 'updating', update_id = '' WHERE state = 'done'`, "rollouts", "is updated has an update"},
		{`UPDATE rollout_targets SET update_id = 'upd_none' WHERE state = 'done'`, "rollouts", "updates of its CVMs exist"},
		{`UPDATE rollout_targets SET update_id = (SELECT id FROM updates WHERE state = 'awaiting_approval')`, "rollouts", "are theirs"},
		{`UPDATE rollouts SET compose_hash = (SELECT compose_hash FROM updates WHERE state = 'awaiting_approval')`, "rollouts", "have its document"},
		{`UPDATE rollout_targets SET state = 'pending' WHERE state = 'done'`, "rollouts", "whose turn has not come"},
		{`UPDATE rollout_targets SET state = 'settling' WHERE state = 'failed'`, "rollouts", "that has the document"},
		{`UPDATE rollout_targets SET state = 'reverting' WHERE state = 'failed'`, "rollouts", "for that"},
		{`UPDATE rollout_targets SET state = 'reverted', revert_id = update_id WHERE state = 'failed'`, "rollouts", "went back"},
		{`UPDATE rollout_targets SET state = 'failed', update_id = (SELECT id FROM updates WHERE state = 'awaiting_approval') WHERE state = 'done'`, "rollouts", "failed has an update"},
		{`UPDATE rollout_targets SET moved = TRUE WHERE state = 'failed'`, "rollouts", "was moved"},
		{`DROP INDEX rollouts_one_active; UPDATE rollouts SET state = 'running', finished_at = NULL`, "rollouts", "one active rollout"},
	} {
		t.Run(test.table+": "+test.rule, func(t *testing.T) {
			copied := filepath.Join(t.TempDir(), "lockstep.db")
			if err := os.WriteFile(copied, content, 0o600); err != nil {
				t.Fatal(err)
			}
			db := open(t, "sqlite:"+copied)
			if _, err := db.WriteDB().ExecContext(t.Context(), `PRAGMA foreign_keys = OFF`); err != nil {
				t.Fatal(err)
			}
			result, err := db.WriteDB().ExecContext(t.Context(), test.damage)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := result.RowsAffected(); err != nil || n == 0 {
				t.Fatalf("%s changed %d rows: %v", test.damage, n, err)
			}
			report, err := fsck.Check(t.Context(), db, fsck.Options{Now: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range report.Findings {
				if f.Table == test.table && strings.Contains(f.Rule, test.rule) {
					return
				}
			}
			t.Errorf("not found; findings: %v", report.Findings)
		})
	}
}
