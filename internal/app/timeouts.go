package app

import (
	"time"

	"github.com/lockstep-cvm/lockstep/internal/control"
)

// Timeouts are the settings of control.Timeouts. Zero values mean its defaults.
type Timeouts struct {
	Candidate time.Duration `koanf:"candidate"`
	Provision time.Duration `koanf:"provision"`
	TxLookup  time.Duration `koanf:"tx_lookup"`
	Stop      time.Duration `koanf:"stop"`
	Healthy   time.Duration `koanf:"healthy"`
	Rollback  time.Duration `koanf:"rollback"`
	Progress  time.Duration `koanf:"progress"`
	Retry     time.Duration `koanf:"retry"`
}

// over puts the settings over the timeouts that the program chose, or over the defaults.
func (t Timeouts) over(base control.Timeouts) control.Timeouts {
	if base == (control.Timeouts{}) {
		base = control.DefaultTimeouts()
	}
	for _, setting := range []struct {
		given time.Duration
		into  *time.Duration
	}{
		{t.Candidate, &base.Candidate}, {t.Provision, &base.Provision}, {t.TxLookup, &base.TxLookup}, {t.Stop, &base.Stop},
		{t.Healthy, &base.Healthy}, {t.Rollback, &base.Rollback}, {t.Progress, &base.Progress}, {t.Retry, &base.Retry},
	} {
		if given := setting.given; given > 0 {
			*setting.into = given
		}
	}
	return base
}
