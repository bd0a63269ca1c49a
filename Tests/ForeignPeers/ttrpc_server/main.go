// A server of containerd/ttrpc's own library, for tests of clients:
//
//	ttrpc_server unix:PATH
//	ttrpc_server HOST:PORT CA CERTIFICATE KEY
//
// Says "ready PORT" when it serves, and what becomes of calls of Wait. Each line of its input lets the calls
// of Hold go that are there. For version 1.1, which has no streams.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/golang/protobuf/ptypes"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// raw is a message as it travels.
type raw struct{ bytes []byte }

func (m *raw) Reset()                   { m.bytes = nil }
func (m *raw) String() string           { return fmt.Sprintf("%d bytes", len(m.bytes)) }
func (m *raw) ProtoMessage()            {}
func (m *raw) Marshal() ([]byte, error) { return m.bytes, nil }

func (m *raw) Unmarshal(bytes []byte) error {
	m.bytes = append([]byte{}, bytes...)
	return nil
}

var (
	connections atomic.Int32
	held        = make(chan chan struct{}, 1)
	gathered    sync.WaitGroup
)

// gather is how many calls of Gather wait for one another.
const gather = 100

type handler func(context.Context, []byte) ([]byte, error)

var methods = map[string]handler{
	"Echo": func(_ context.Context, request []byte) ([]byte, error) { return request, nil },
	"Gather": func(_ context.Context, request []byte) ([]byte, error) {
		gathered.Done()
		gathered.Wait()
		return request, nil
	},
	"Large": func(_ context.Context, request []byte) ([]byte, error) {
		size, err := strconv.Atoi(string(request))
		return make([]byte, size), err
	},
	"Connections": func(context.Context, []byte) ([]byte, error) {
		return []byte(strconv.Itoa(int(connections.Load()))), nil
	},
	"Fail":     fail,
	"Metadata": metadata,
	"Timeout": func(ctx context.Context, _ []byte) ([]byte, error) {
		deadline, ok := ctx.Deadline()
		if !ok {
			return []byte("none"), nil
		}
		return []byte(strconv.FormatInt(time.Until(deadline).Milliseconds(), 10)), nil
	},
	"Wait": func(ctx context.Context, _ []byte) ([]byte, error) {
		fmt.Println("began")
		<-ctx.Done()
		fmt.Println("over:", ctx.Err())
		return nil, ctx.Err()
	},
	"Hold": func(_ context.Context, request []byte) ([]byte, error) {
		gate := <-held
		held <- gate
		fmt.Println("held")
		<-gate
		return request, nil
	},
}

// fail answers with the code that the first byte is, the rest as text, and when to come back.
func fail(_ context.Context, request []byte) ([]byte, error) {
	refusal, err := status.New(codes.Code(request[0]), string(request[1:])).WithDetails(
		&errdetails.RetryInfo{RetryDelay: ptypes.DurationProto(1500 * time.Millisecond)})
	if err != nil {
		return nil, err
	}
	return nil, refusal.Err()
}

// metadata answers with all of it: names in order, values as they came.
func metadata(ctx context.Context, _ []byte) ([]byte, error) {
	found, _ := ttrpc.GetMetadata(ctx)
	var lines []string
	for name, values := range found {
		lines = append(lines, name+"="+strings.Join(values, "|"))
	}
	sort.Strings(lines)
	return []byte(strings.Join(lines, "\n")), nil
}

// counting counts connections.
type counting struct{ net.Listener }

func (l counting) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	if err == nil {
		connections.Add(1)
	}
	return connection, err
}

func main() {
	listener, err := listen(os.Args[1:])
	if err != nil {
		panic(err)
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		panic(err)
	}
	served := map[string]ttrpc.Method{}
	for name, handle := range methods {
		handle := handle
		served[name] = func(ctx context.Context, unmarshal func(interface{}) error) (interface{}, error) {
			var request raw
			if err := unmarshal(&request); err != nil {
				return nil, err
			}
			response, err := handle(ctx, request.bytes)
			return &raw{response}, err
		}
	}
	server.Register("t.S", served)
	gathered.Add(gather)
	held <- make(chan struct{})
	go release()
	if address, ok := listener.Addr().(*net.TCPAddr); ok {
		fmt.Println("ready", address.Port)
	} else {
		fmt.Println("ready 0")
	}
	panic(server.Serve(context.Background(), counting{listener}))
}

// release lets go what is held, for each line of the input.
func release() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		close(<-held)
		held <- make(chan struct{})
	}
	os.Exit(0)
}

func listen(arguments []string) (net.Listener, error) {
	if len(arguments) == 1 {
		path := strings.TrimPrefix(arguments[0], "unix:")
		os.Remove(path) // One that was killed has left it.
		return net.Listen("unix", path)
	}
	authority, err := os.ReadFile(arguments[1])
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	certificate, err := tls.LoadX509KeyPair(arguments[2], arguments[3])
	if err != nil {
		return nil, err
	}
	return tls.Listen("tcp", arguments[0], &tls.Config{
		Certificates: []tls.Certificate{certificate}, NextProtos: []string{"ttrpc"},
		ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	})
}
