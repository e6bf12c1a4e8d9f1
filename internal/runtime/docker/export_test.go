package docker

import "context"

// WithHold gives a configuration a place where calls are held.
func (c Config) WithHold(hold func(ctx context.Context, id, call string, after bool) error) Config {
	c.hold = hold
	return c
}
