package docker_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/docker"
	"github.com/lockstep-cvm/lockstep/internal/runtime/docker/dockertest"
)

// front is a way to the engine that can be cut.
type front struct {
	net.Listener
	socket string

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]bool
}

// newFront listens in front of the engine; with security, for TLS.
func newFront(t *testing.T, engine *dockertest.Engine, security *tls.Config) *front {
	t.Helper()
	socket, unix := strings.CutPrefix(engine.Host, "unix://")
	if !unix {
		t.Skipf("NOT TESTED: the engine is at %s, and this test needs its socket", engine.Host)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if security != nil {
		listener = tls.NewListener(listener, security)
	}
	f := &front{Listener: listener, socket: socket, conns: map[net.Conn]bool{}}
	go f.serve()
	t.Cleanup(func() { listener.Close(); f.cut(true) })
	return f
}

func (f *front) serve() {
	for {
		conn, err := f.Accept()
		if err != nil {
			return
		}
		go f.pass(conn)
	}
}

func (f *front) pass(conn net.Conn) {
	defer conn.Close()
	f.mu.Lock()
	if f.down {
		f.mu.Unlock()
		return
	}
	f.conns[conn] = true
	f.mu.Unlock()
	engine, err := net.Dial("unix", f.socket)
	if err != nil {
		return
	}
	defer engine.Close()
	go func() {
		_, _ = io.Copy(engine, conn)
		_ = engine.(*net.UnixConn).CloseWrite()
	}()
	_, _ = io.Copy(conn, engine)
}

func (f *front) cut(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
	for conn := range f.conns {
		conn.Close()
		delete(f.conns, conn)
	}
}

// throughAll is the life of a CVM in short: whatever needs the engine, by its API and by the plugin.
func throughAll(t *testing.T, r *rig) {
	t.Helper()
	doc := document(t, r.web("[serve, \"${V-one}\"]", ""), nil)
	s := r.boot(runtime.Config{Document: doc})
	r.mustRun(s)
	if got := r.get(s); !strings.HasPrefix(got, "version one ") {
		t.Errorf("the app says %q", got)
	}
	if log := r.log("web"); !strings.Contains(log, "version one") {
		t.Errorf("log of the app: %q", log)
	}
	if err := r.Prepare(t.Context(), cvmID, runtime.Config{Document: doc}); err != nil {
		t.Errorf("Prepare: %v", err)
	}
	if err := r.Remove(t.Context(), cvmID); err != nil {
		t.Errorf("Remove: %v", err)
	}
}

func TestEngineOverTLS(t *testing.T) {
	engine := dockertest.Shared(t)
	dir := t.TempDir()
	security := authority(t, dir)
	f := newFront(t, engine, security)
	host := "tcp://" + f.Addr().String()
	throughAll(t, newRig(t, func(c *docker.Config) { c.Host, c.CertDir, c.PreLaunch = host, dir, docker.PreLaunchHost }))

	// Another authority's certificates open nothing.
	strange := t.TempDir()
	authority(t, strange)
	r := newRig(t, func(c *docker.Config) { c.Host, c.CertDir = host, strange })
	if _, err := r.Probe(t.Context()); !errors.Is(err, runtime.ErrUnreachable) {
		t.Errorf("Probe with certificates of somebody else: %v, want ErrUnreachable", err)
	}
}

// authority makes an authority with one certificate that is good for both ends, in the files that Docker wants.
func authority(t *testing.T, dir string) *tls.Config {
	t.Helper()
	template := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
			BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
	}
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	caKey, key := newKey(), newKey()
	ca := template(1, "authority")
	ca.IsCA, ca.KeyUsage = true, x509.KeyUsageCertSign
	caBytes, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	certBytes, err := x509.CreateCertificate(rand.Reader, template(2, "engine"), ca, &key.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"ca.pem": {Type: "CERTIFICATE", Bytes: caBytes}, "cert.pem": {Type: "CERTIFICATE", Bytes: certBytes},
		"key.pem": {Type: "PRIVATE KEY", Bytes: keyBytes},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(caBytes)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{certBytes}, PrivateKey: key}},
		ClientCAs:    pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}
}

// TestEngineOverSSH has this test program play the machine that ssh leads to.
func TestEngineOverSSH(t *testing.T) {
	engine := dockertest.Shared(t)
	socket, unix := strings.CutPrefix(engine.Host, "unix://")
	if !unix {
		t.Skipf("NOT TESTED: the engine is at %s, and this test needs its socket", engine.Host)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *somebody*engine.test*dial-stdio) ;; *) echo \"ssh $*\" >&2; exit 255;; esac\n%s=%s exec %s\n", dialStdio, socket, self)
	if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	throughAll(t, newRig(t, func(c *docker.Config) { c.Host = "ssh://somebody@engine.test" }))
}

func TestEngineThatGoesAway(t *testing.T) {
	engine := dockertest.Shared(t)
	f := newFront(t, engine, nil)
	r := newRig(t, func(c *docker.Config) { c.Host = "tcp://" + f.Addr().String() })
	doc := document(t, r.web("[serve, one]", ""), nil)
	before := r.boot(runtime.Config{Document: doc})
	r.mustRun(before)
	ctx := t.Context()
	f.cut(true)
	if _, err := r.Status(ctx, cvmID); !errors.Is(err, runtime.ErrUnreachable) {
		t.Errorf("Status: %v, want ErrUnreachable", err)
	}
	if err := r.Prepare(ctx, cvmID, runtime.Config{Document: doc}); !errors.Is(err, runtime.ErrUnreachable) {
		t.Errorf("Prepare: %v, want ErrUnreachable", err)
	}
	if _, err := r.SystemInfo(ctx, cvmID); !errors.Is(err, runtime.ErrUnreachable) {
		t.Errorf("SystemInfo: %v, want ErrUnreachable", err)
	}
	if _, err := r.Logs(ctx, cvmID, runtime.LogOptions{Container: "web"}); !errors.Is(err, runtime.ErrUnreachable) {
		t.Errorf("Logs: %v, want ErrUnreachable", err)
	}
	// A shutdown that was begun goes on when the engine is there again.
	if err := r.Stop(ctx, cvmID, runtime.StopOptions{}); err != nil {
		t.Errorf("Stop: %v", err)
	}
	f.cut(false)
	r.await(func(s runtime.Status) bool { return s.State == runtime.StateStopped })
	if err := r.Start(ctx, cvmID); err != nil {
		t.Fatal(err)
	}
	r.mustRun(r.await(func(s runtime.Status) bool { return s.Health == runtime.HealthHealthy }))
}

// TestNoEngine: what needs no engine works without one, and a boot waits for it instead of failing.
func TestNoEngine(t *testing.T) {
	compose := filepath.Join(t.TempDir(), "docker-compose")
	if err := os.WriteFile(compose, []byte("#!/bin/sh\n[ \"$1\" != version ] || { echo 2.0.0; exit 0; }\necho no engine >&2; exit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	config := docker.Config{Host: "unix://" + filepath.Join(t.TempDir(), "none"), Compose: compose, Dir: t.TempDir(), Authorizer: &switchedKMS{}}
	d := open(t, config)
	ctx := t.Context()
	doc := document(t, "services: {web: {image: a}}", nil)
	spec := runtime.Spec{ID: cvmID, Name: "app", AppID: appID, Image: "dstack-0.5.5", Config: runtime.Config{Document: doc}}
	if err := d.Create(ctx, spec); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Status(ctx, cvmID); err != nil || s.State != runtime.StateStopped {
		t.Errorf("status %+v, %v", s, err)
	}
	if err := d.Prepare(ctx, cvmID, spec.Config); !errors.Is(err, runtime.ErrUnreachable) {
		t.Errorf("Prepare: %v, want ErrUnreachable", err)
	}
	if err := d.Start(ctx, cvmID); err != nil {
		t.Fatal(err)
	}
	waitFor(t, d, "waits for the docker engine")
	_, statusErr := d.Status(ctx, cvmID)
	_, probeErr := d.Probe(ctx)
	for _, refused := range []struct {
		call string
		err  error
	}{
		{"Status", statusErr},
		{"Probe", probeErr},
		{"Force", d.Stop(ctx, cvmID, runtime.StopOptions{Force: true})},
		{"Remove", d.Remove(ctx, cvmID)},
		{"Create", d.Create(ctx, spec)}, // what is being removed is still there
	} {
		if !errors.Is(refused.err, runtime.ErrUnreachable) {
			t.Errorf("%s: %v, want ErrUnreachable", refused.call, refused.err)
		}
	}
	if _, err := d.Status(ctx, cvmID); !errors.Is(err, runtime.ErrNotFound) {
		t.Errorf("Status of one that is being removed: %v, want ErrNotFound", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if again := open(t, config); again != nil {
		if _, err := again.Status(ctx, cvmID); !errors.Is(err, runtime.ErrNotFound) {
			t.Errorf("Status after reopening: %v, want ErrNotFound", err)
		}
	}
}

// waitFor follows the console until it says something.
func waitFor(t *testing.T, d *docker.Driver, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	log, err := d.Logs(ctx, cvmID, runtime.LogOptions{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if strings.Contains(lines.Text(), text) {
			return
		}
	}
	t.Fatalf("the console never said %q", text)
}
