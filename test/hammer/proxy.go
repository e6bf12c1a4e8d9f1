package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// proxy passes TCP connections on to something that the servers depend on, until it is told to fail.
type proxy struct {
	target   func(ctx context.Context) (net.Conn, error)
	listener net.Listener

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]struct{}
	group sync.WaitGroup
}

// newProxy listens on a port of its own on loopback.
func newProxy(ctx context.Context, target func(ctx context.Context) (net.Conn, error)) (*proxy, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{target: target, listener: listener, conns: map[net.Conn]struct{}{}}
	p.group.Go(func() { p.accept(context.WithoutCancel(ctx)) })
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept(ctx context.Context) {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.group.Go(func() { p.pass(ctx, conn) })
	}
}

// pass copies both ways until either side ends or the connection is cut.
func (p *proxy) pass(ctx context.Context, near net.Conn) {
	defer func() { _ = near.Close() }() // it may be cut already
	if !p.keep(near) {
		return
	}
	defer p.forget(near)
	far, err := p.target(ctx)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	if !p.keep(far) {
		return
	}
	defer p.forget(far)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(far, near) // how it ends does not matter: the connection is over
		_ = far.Close()
	}()
	_, _ = io.Copy(near, far)
	_ = near.Close()
	<-done
}

func (p *proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return false
	}
	p.conns[conn] = struct{}{}
	return true
}

func (p *proxy) forget(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}

// cut ends every connection in the middle of what it is doing; new ones are passed on.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
	}
}

// setDown makes the other side unreachable, or reachable again.
func (p *proxy) setDown(down bool) {
	p.mu.Lock()
	p.down = down
	p.mu.Unlock()
	if down {
		p.cut()
	}
}

func (p *proxy) close() error {
	err := p.listener.Close()
	p.setDown(true)
	p.group.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// dialTCP is the target of a proxy to an address.
func dialTCP(address string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "tcp", address) }
}
