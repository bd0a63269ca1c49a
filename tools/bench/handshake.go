// A TLS server by Go's crypto/tls that does handshakes and nothing else, to compare with:
//
//	handshake CERT KEY CA [tickets]
//
// Prints its address, asks each client for a certificate, sends one byte and waits for the end. It sends
// tickets only if told.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"os"
)

func main() {
	certificate, err := tls.LoadX509KeyPair(os.Args[1], os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	authorities, err := os.ReadFile(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authorities)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	config := &tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, NextProtos: []string{"h2"},
		SessionTicketsDisabled: len(os.Args) < 5,
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer connection.Close()
			peer := tls.Server(connection, config)
			if peer.Handshake() == nil {
				peer.Write([]byte{0})
				io.Copy(io.Discard, peer)
			}
		}()
	}
}
