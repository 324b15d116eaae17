// Both ends of gRPC calls by gRPC-Go: "server" prints its port and gives each message back; "client" reads ids from
// standard input and makes a call for each, all at once over one connection, and prints a JSON line of each.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// plain has messages that are bytes.
type plain struct{}

func (plain) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (plain) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte{}, data...)
	return nil
}
func (plain) Name() string { return "plain" }

func echo(_ any, stream grpc.ServerStream) error {
	var message []byte
	if err := stream.RecvMsg(&message); err != nil {
		return err
	}
	return stream.SendMsg(&message)
}

func serve(certificate, key string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	tls, err := credentials.NewServerTLSFromFile(certificate, key)
	must(err)
	server := grpc.NewServer(grpc.Creds(tls), grpc.ForceServerCodec(plain{}), grpc.UnknownServiceHandler(echo))
	must(server.Serve(listener))
}

func call(conn *grpc.ClientConn, id string) map[string]any {
	path, sent, received := "/spectap.test.Go/"+id, []byte(`{"id":"`+id+`"}`), []byte{}
	err := conn.Invoke(context.Background(), path, &sent, &received, grpc.ForceCodec(plain{}))
	if err == nil && string(received) != string(sent) {
		must(fmt.Errorf("%s: %s came back", id, received))
	}
	return map[string]any{
		"id": id, "path": path, "status": int(status.Code(err)),
		"sent": []int{len(sent)}, "received": []int{len(received)},
	}
}

func main() {
	runtime.GOMAXPROCS(2)
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	certificate := flags.String("cert", "", "")
	key := flags.String("key", "", "")
	port := flags.String("port", "", "")
	authority := flags.String("ca", "", "")
	must(flags.Parse(os.Args[2:]))
	if os.Args[1] == "server" {
		serve(*certificate, *key)
	}
	tls, err := credentials.NewClientTLSFromFile(*authority, "127.0.0.1")
	must(err)
	conn, err := grpc.NewClient("127.0.0.1:"+*port, grpc.WithTransportCredentials(tls))
	must(err)
	var done sync.WaitGroup
	var out sync.Mutex
	for ids := bufio.NewScanner(os.Stdin); ids.Scan(); {
		id := ids.Text()
		done.Go(func() {
			line, err := json.Marshal(call(conn, id))
			must(err)
			out.Lock()
			defer out.Unlock()
			fmt.Println(string(line))
		})
	}
	done.Wait()
}
