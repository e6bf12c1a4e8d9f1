package server

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// connOutput is a stream on a connection that was taken over from the HTTP server. The server would keep its buffers,
// the request and a goroutine with the deep stack of a request for each connection, which is several times what a
// stream needs that mostly waits. The frames are chunks of HTTP/1.1, so that a client sees a proper end.
type connOutput struct{ net.Conn }

// takeOver takes the connection of a request and sends the head of the answer. It reports false when the connection
// cannot be had, and nothing was sent then.
func takeOver(w http.ResponseWriter, r *http.Request, now time.Time) (*connOutput, bool) {
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 { // HTTP/2 has one connection for many requests, HTTP/1.0 no chunks
		return nil, false
	}
	conn, _, err := http.NewResponseController(w).Hijack() // what the client may have sent after its request is for nobody
	if err != nil {
		return nil, false
	}
	setEventHeader(w.Header())
	var head bytes.Buffer
	fmt.Fprintf(&head, "HTTP/1.1 200 OK\r\nDate: %s\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n", now.UTC().Format(http.TimeFormat))
	_ = w.Header().Write(&head) // a buffer takes everything
	head.WriteString("\r\n")
	_ = conn.SetDeadline(time.Time{}) // the deadlines that it has are for answers that end
	out := &connOutput{conn}
	_ = out.SetWriteDeadline(time.Now().Add(eventWriteTimeout))
	_, _ = conn.Write(head.Bytes()) // a client that is gone is noticed by whoever reads
	return out, true
}

// WriteFrame implements eventOutput.
func (o *connOutput) WriteFrame(frame []byte) error {
	_, err := o.Write(fmt.Appendf(nil, "%x\r\n%s\r\n", len(frame), frame))
	return err
}

// end says that the stream is complete, and closes the connection.
func (o *connOutput) end() {
	_ = o.SetWriteDeadline(time.Now().Add(eventWriteTimeout))
	_, _ = o.Write([]byte("0\r\n\r\n")) // to a client that may be gone
	_ = o.Close()
}

// awaitClient returns when the client has gone. What it sends is for nobody.
func (o *connOutput) awaitClient() {
	var b [16]byte
	for {
		if _, err := o.Read(b[:]); err != nil {
			return
		}
	}
}

// runDetached runs a stream on its own connection, after its request has been answered as far as the HTTP server is
// concerned. The caller has counted it in s.detached.
func (s *Server) runDetached(stream *stateStream, out *connOutput, release func()) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer s.detached.Done()
		defer release()
		defer cancel()
		defer out.end()
		stream.run(ctx)
	}()
	go func() {
		defer cancel()
		out.awaitClient()
	}()
}

// AwaitStreams returns when all event streams have ended, which they do after Shutdown, or with the context.
// http.Server.Shutdown does not wait for them: their connections are not its own any more.
func (s *Server) AwaitStreams(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		s.detached.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
