// Both ends of the tests' calls in Go, on the standard library: "server" prints its port and echoes, "client" reads
// calls as JSON lines (tests/e2e/calls.py) from standard input. Each logs every exchange as it saw it
// (tests/e2e/observations.py). Many goroutines share two threads.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

const idHeader = "X-Spectap-Test"

type payload struct {
	Size   int    `json:"size"`
	Sha256 string `json:"sha256"`
	Data   []byte `json:"data"`
}

type observation struct {
	End             string      `json:"end"`
	ID              string      `json:"id"`
	Method          string      `json:"method"`
	Target          []byte      `json:"target"`
	Status          int         `json:"status"`
	RequestHeaders  [][2][]byte `json:"request_headers"`
	Request         payload     `json:"request"`
	ResponseHeaders [][2][]byte `json:"response_headers"`
	Response        payload     `json:"response"`
	Local           []any       `json:"local"`
	Peer            []any       `json:"peer"`
	StartNs         int64       `json:"start_ns"`
	EndNs           int64       `json:"end_ns"`
	Pid             int         `json:"pid"`
}

type call struct {
	ID         string      `json:"id"`
	Method     string      `json:"method"`
	Target     []byte      `json:"target"`
	Headers    [][2][]byte `json:"headers"`
	Body       []byte      `json:"body"`
	Connection int         `json:"connection"`
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func payloadOf(data []byte) payload {
	digest := sha256.Sum256(data)
	return payload{len(data), hex.EncodeToString(digest[:]), append([]byte{}, data...)}
}

func address(text string) []any {
	host, port, err := net.SplitHostPort(text)
	must(err)
	number, err := strconv.Atoi(port)
	must(err)
	return []any{host, number}
}

func pairs(headers http.Header) [][2][]byte {
	found := [][2][]byte{}
	for name, values := range headers {
		for _, value := range values {
			found = append(found, [2][]byte{[]byte(name), []byte(value)})
		}
	}
	return found
}

type journal struct{ file *os.File }

func open(path string) journal {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	must(err)
	return journal{file}
}

func (log journal) write(seen observation) {
	seen.Pid = os.Getpid()
	line, err := json.Marshal(seen)
	must(err)
	_, err = log.file.Write(append(line, '\n'))
	must(err)
}

// A connection of the program's own type, as those that count or limit have them.
type wrapped struct {
	closed func()
	net.Conn
}

type wrapper struct{ net.Listener }

func (l wrapper) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &wrapped{func() {}, conn}, nil
}

// echo gives the body back; /bytes/N/... answers with N bytes instead.
func echo(log journal) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now().UnixNano()
		body, err := io.ReadAll(r.Body)
		must(err)
		id := r.Header.Get(idHeader)
		answer := body
		if parts := strings.Split(r.URL.Path, "/"); parts[1] == "bytes" {
			size, err := strconv.Atoi(parts[2])
			must(err)
			answer = []byte(`["` + strings.Repeat("a long answer ", size/14+1)[:size-4] + `"]`)
		} else if len(answer) == 0 {
			answer, _ = json.Marshal(map[string]string{"id": id})
		}
		w.Header().Set(idHeader, id)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		_, err = w.Write(answer)
		must(err)
		local := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		log.write(observation{
			End: "server", ID: id, Method: r.Method, Target: []byte(r.RequestURI), Status: 200,
			RequestHeaders: pairs(r.Header), Request: payloadOf(body),
			ResponseHeaders: pairs(w.Header()), Response: payloadOf(answer),
			Local: address(local.String()), Peer: address(r.RemoteAddr),
			StartNs: start, EndNs: time.Now().UnixNano(),
		})
	}
}

func serve(log journal, certificate, key string, h2, wrap bool) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	server := http.Server{Handler: echo(log)}
	if !h2 {
		server.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	}
	if wrap {
		listener = wrapper{listener}
	}
	must(server.ServeTLS(listener, certificate, key))
}

func trusting(authority string) *tls.Config {
	pem, err := os.ReadFile(authority)
	must(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
}

func transport(config *tls.Config, h2, wrap bool) *http.Transport {
	dialer := net.Dialer{}
	made := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: h2, MaxConnsPerHost: 1}
	if !h2 {
		made.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	if wrap {
		made.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			return &wrapped{func() {}, conn}, err
		}
	}
	return made
}

type answer struct {
	status      int
	headers     http.Header
	body        []byte
	local, peer net.Addr
}

// byTransport makes a call as programs do.
func byTransport(transport *http.Transport, port string, call call) answer {
	var got answer
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			got.local, got.peer = info.Conn.LocalAddr(), info.Conn.RemoteAddr()
		},
	})
	target, err := url.Parse("https://127.0.0.1:" + port + string(call.Target))
	must(err)
	request, err := http.NewRequestWithContext(ctx, call.Method, target.String(), bytes.NewReader(call.Body))
	must(err)
	for _, header := range call.Headers {
		request.Header.Set(string(header[0]), string(header[1]))
	}
	response, err := transport.RoundTrip(request)
	must(err)
	defer response.Body.Close()
	got.body, err = io.ReadAll(response.Body)
	must(err)
	got.status, got.headers = response.StatusCode, response.Header
	return got
}

// stack reads into a buffer that lies on its goroutine's stack.
type stack struct{ conn *tls.Conn }

func (s stack) Read(into []byte) (int, error) {
	var room [4096]byte
	n, err := s.conn.Read(room[:])
	return copy(into, room[:n]), err
}

// deep makes the stack large, so that the garbage collector moves it to a smaller one at its next round.
func deep(calls int) byte {
	var room [1024]byte
	if calls > 0 {
		room[calls] = deep(calls - 1)
	}
	return room[calls]
}

// onStack makes a call without net/http's buffers.
func onStack(conn *tls.Conn, reader *bufio.Reader, port string, call call) answer {
	request, err := http.NewRequest(call.Method, "https://127.0.0.1:"+port+string(call.Target), bytes.NewReader(call.Body))
	must(err)
	for _, header := range call.Headers {
		request.Header.Set(string(header[0]), string(header[1]))
	}
	must(request.Write(conn))
	deep(100)
	response, err := http.ReadResponse(reader, request)
	must(err)
	body, err := io.ReadAll(response.Body)
	must(err)
	return answer{response.StatusCode, response.Header, body, conn.LocalAddr(), conn.RemoteAddr()}
}

// maker gives the function that makes the calls of one connection.
func maker(config *tls.Config, port string, shared *http.Transport, onstack, wrap bool) func(call) answer {
	if onstack {
		conn, err := tls.Dial("tcp", "127.0.0.1:"+port, config)
		must(err)
		reader := bufio.NewReader(stack{conn})
		return func(c call) answer { return onStack(conn, reader, port, c) }
	}
	own := shared
	if own == nil {
		own = transport(config, false, wrap)
	}
	return func(c call) answer { return byTransport(own, port, c) }
}

func work(log journal, calls <-chan call, make func(call) answer, done *sync.WaitGroup) {
	defer done.Done()
	for call := range calls {
		start := time.Now().UnixNano()
		got := make(call)
		log.write(observation{
			End: "client", ID: call.ID, Method: call.Method, Target: call.Target, Status: got.status,
			RequestHeaders: call.Headers, Request: payloadOf(call.Body),
			ResponseHeaders: pairs(got.headers), Response: payloadOf(got.body),
			Local: address(got.local.String()), Peer: address(got.peer.String()),
			StartNs: start, EndNs: time.Now().UnixNano(),
		})
	}
}

func collectGarbage() {
	for {
		runtime.GC()
	}
}

func main() {
	runtime.GOMAXPROCS(2)
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	logged := flags.String("log", "", "")
	certificate := flags.String("cert", "", "")
	key := flags.String("key", "", "")
	port := flags.String("port", "", "")
	authority := flags.String("ca", "", "")
	h2 := flags.Bool("h2", false, "HTTP/2; a client's calls share one connection")
	wrap := flags.Bool("wrap", false, "connections of a type of its own")
	onstack := flags.Bool("stack", false, "a client's buffers are on stacks that move")
	must(flags.Parse(os.Args[2:]))
	log := open(*logged)
	if os.Args[1] == "server" {
		serve(log, *certificate, *key, *h2, *wrap)
	}
	config := trusting(*authority)
	var shared *http.Transport
	if *h2 {
		shared = transport(config, true, *wrap)
	}
	if *onstack {
		go collectGarbage()
	}
	var done sync.WaitGroup
	connections := map[int]chan call{}
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var next call
		must(json.Unmarshal(line, &next))
		if connections[next.Connection] == nil {
			connections[next.Connection] = make(chan call, 1024)
			done.Add(1)
			go work(log, connections[next.Connection], maker(config, *port, shared, *onstack, *wrap), &done)
		}
		connections[next.Connection] <- next
	}
	for _, calls := range connections {
		close(calls)
	}
	done.Wait()
}
