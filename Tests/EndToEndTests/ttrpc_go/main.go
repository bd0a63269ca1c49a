// Checks a server of ttrpc.integration.streaming.Streaming with the Go client of containerd/ttrpc:
//
//	ttrpc_go CHECK unix:PATH
//	ttrpc_go CHECK HOST:PORT CA CERTIFICATE KEY
//
// Says what is wrong and ends with 1 when the check fails. For version 1.1, which has no streams.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const service = "ttrpc.integration.streaming.Streaming"

// echoPayload is the message EchoPayload.
type echoPayload struct {
	Seq uint32 `protobuf:"varint,1,opt,name=seq,proto3"`
	Msg string `protobuf:"bytes,2,opt,name=msg,proto3"`
}

func (m *echoPayload) Reset()         { *m = echoPayload{} }
func (m *echoPayload) String() string { return fmt.Sprintf("%d %.40q", m.Seq, m.Msg) }
func (m *echoPayload) ProtoMessage()  {}

type check func(context.Context, *ttrpc.Client) error

var checks = map[string]check{
	"echo":               echoes,
	"large":              large,
	"too-large":          tooLarge,
	"concurrent":         concurrent,
	"metadata":           metadata,
	"deadline-told":      deadlineTold,
	"deadline-passes":    deadlinePasses,
	"cancelled":          cancelled,
	"errors":             errors,
	"unknown-method":     unknownMethod,
	"unknown-service":    unknownService,
	"out-of-order":       outOfOrder,
	"many-connections":   echoes,
	"after-other-errors": afterErrors,
}

func main() {
	if len(os.Args) < 3 {
		fail("usage: ttrpc_go CHECK ADDRESS [CA CERTIFICATE KEY]")
	}
	name := os.Args[1]
	run, known := checks[name]
	if !known {
		fail("no such check: " + name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	count := 1
	if name == "many-connections" {
		count = 50
	}
	for i := 0; i < count; i++ {
		connection, err := dial(os.Args[2], os.Args[3:])
		if err != nil {
			fail(err.Error())
		}
		client := ttrpc.NewClient(connection)
		defer client.Close()
		if err := run(ctx, client); err != nil {
			fail(err.Error())
		}
	}
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}

func dial(address string, files []string) (net.Conn, error) {
	if strings.HasPrefix(address, "unix:") {
		return net.Dial("unix", strings.TrimPrefix(address, "unix:"))
	}
	if len(files) != 3 {
		return net.Dial("tcp", address)
	}
	authority, err := os.ReadFile(files[0])
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	certificate, err := tls.LoadX509KeyPair(files[1], files[2])
	if err != nil {
		return nil, err
	}
	return tls.Dial("tcp", address, &tls.Config{
		RootCAs: pool, Certificates: []tls.Certificate{certificate}, NextProtos: []string{"ttrpc"},
	})
}

func echo(ctx context.Context, client *ttrpc.Client, seq uint32, msg string) (string, error) {
	var answer echoPayload
	err := client.Call(ctx, service, "Echo", &echoPayload{Seq: seq, Msg: msg}, &answer)
	if err == nil && answer.Seq != seq+1 {
		err = fmt.Errorf("sequence %d after %d", answer.Seq, seq)
	}
	return answer.Msg, err
}

// expect calls, and wants the message.
func expect(ctx context.Context, client *ttrpc.Client, msg, want string) error {
	got, err := echo(ctx, client, 1, msg)
	if err != nil {
		return fmt.Errorf("%.40q: %w", msg, err)
	}
	if got != want {
		return fmt.Errorf("%.40q: got %.80q, want %.80q", msg, got, want)
	}
	return nil
}

// refused wants a status.
func refused(err error, code codes.Code, message string) error {
	found, ok := status.FromError(err)
	if err == nil || !ok || found.Code() != code || (message != "" && found.Message() != message) {
		return fmt.Errorf("got %v, want %v %q", err, code, message)
	}
	return nil
}

func echoes(ctx context.Context, client *ttrpc.Client) error {
	for _, msg := range []string{"", "x", "Grüße, 世界", strings.Repeat("a", 100_000)} {
		if err := expect(ctx, client, msg, msg); err != nil {
			return err
		}
	}
	return nil
}

func large(ctx context.Context, client *ttrpc.Client) error {
	msg := string(bytes.Repeat([]byte("x"), 4<<20-200))
	return expect(ctx, client, msg, msg)
}

// tooLarge finds the connection in order after a message that is refused.
func tooLarge(ctx context.Context, client *ttrpc.Client) error {
	if _, err := echo(ctx, client, 1, strings.Repeat("x", 4<<20)); err == nil {
		return fmt.Errorf("a message over 4 MiB was taken")
	}
	return expect(ctx, client, "after", "after")
}

func concurrent(ctx context.Context, client *ttrpc.Client) error {
	failures := make(chan error, 200)
	var group sync.WaitGroup
	for i := 0; i < 200; i++ {
		group.Add(1)
		go func(seq int) {
			defer group.Done()
			msg := fmt.Sprintf("call %d %s", seq, strings.Repeat("y", seq*100))
			got, err := echo(ctx, client, uint32(seq), msg)
			if err == nil && got != msg {
				err = fmt.Errorf("answers were mixed up: %.40q", got)
			}
			failures <- err
		}(i)
	}
	group.Wait()
	close(failures)
	for err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}

func metadata(ctx context.Context, client *ttrpc.Client) error {
	values := ttrpc.MD{}
	values.Set("color", "blue")
	values.Set("Shape", "Round, or so")
	ctx = ttrpc.WithMetadata(ctx, values)
	for key, want := range map[string]string{"color": "blue", "shape": "Round, or so"} {
		if err := expect(ctx, client, "md:"+key, want); err != nil {
			return err
		}
	}
	return nil
}

func deadlineTold(ctx context.Context, client *ttrpc.Client) error {
	if err := expect(ctx, client, "deadline", "yes"); err != nil {
		return err
	}
	return expect(context.Background(), client, "deadline", "no")
}

func deadlinePasses(ctx context.Context, client *ttrpc.Client) error {
	soon, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := echo(soon, client, 1, "sleep:10000"); err == nil {
		return fmt.Errorf("a call went on after its deadline")
	}
	if took := time.Since(start); took > 2*time.Second {
		return fmt.Errorf("the deadline was found after %v", took)
	}
	return expect(ctx, client, "after", "after")
}

func cancelled(ctx context.Context, client *ttrpc.Client) error {
	brief, cancel := context.WithCancel(ctx)
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := echo(brief, client, 1, "sleep:10000"); err == nil {
		return fmt.Errorf("a cancelled call went on")
	}
	return expect(ctx, client, "after", "after")
}

func errors(ctx context.Context, client *ttrpc.Client) error {
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		text := fmt.Sprintf("error %d: ü", code)
		_, err := echo(ctx, client, 1, fmt.Sprintf("fail:%d:%s", code, text))
		if err := refused(err, code, text); err != nil {
			return err
		}
	}
	return nil
}

func unknownMethod(ctx context.Context, client *ttrpc.Client) error {
	err := client.Call(ctx, service, "Nothing", &echoPayload{}, &echoPayload{})
	return refused(err, codes.Unimplemented, "")
}

func unknownService(ctx context.Context, client *ttrpc.Client) error {
	err := client.Call(ctx, "no.Service", "Echo", &echoPayload{}, &echoPayload{})
	return refused(err, codes.Unimplemented, "")
}

// outOfOrder wants the quick answer before the slow one.
func outOfOrder(ctx context.Context, client *ttrpc.Client) error {
	slow := make(chan error, 1)
	go func() {
		_, err := echo(ctx, client, 1, "sleep:1000")
		slow <- err
	}()
	for i := 0; i < 20; i++ {
		if err := expect(ctx, client, "quick", "quick"); err != nil {
			return err
		}
	}
	select {
	case err := <-slow:
		return fmt.Errorf("the slow call came first: %v", err)
	default:
		return <-slow
	}
}

func afterErrors(ctx context.Context, client *ttrpc.Client) error {
	if err := errors(ctx, client); err != nil {
		return err
	}
	if err := unknownMethod(ctx, client); err != nil {
		return err
	}
	return echoes(ctx, client)
}
