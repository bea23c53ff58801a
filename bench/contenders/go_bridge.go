// A bridge on gorilla/websocket, to be measured beside websocksy: two
// goroutines for a client, and a buffer of 64 KiB for each direction.
//
//	go_bridge PORT PEER-PORT binary|newline [CERTIFICATE KEY]
package main

import (
	"bufio"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/gorilla/websocket"
)

const (
	host       = "127.0.0.1"
	bufferSize = 64 * 1024
)

func main() {
	listen := net.JoinHostPort(host, os.Args[1])
	address := net.JoinHostPort(host, os.Args[2])
	newline := os.Args[3] == "newline"
	upgrader := websocket.Upgrader{
		ReadBufferSize:  bufferSize,
		WriteBufferSize: bufferSize,
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := net.Dial("tcp", address)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer peer.Close()
		client, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // It has answered.
		}
		defer client.Close()
		go toPeer(client, peer)
		if newline {
			err = linesToClient(peer, client)
		} else {
			err = toClient(peer, client)
		}
		if err == io.EOF {
			bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
			client.WriteMessage(websocket.CloseMessage, bye)
		}
	})
	if len(os.Args) > 5 {
		log.Fatal(http.ListenAndServeTLS(listen, os.Args[4], os.Args[5], handler))
	}
	log.Fatal(http.ListenAndServe(listen, handler))
}

// Passes messages on until the client ends, then ends the peer.
func toPeer(client *websocket.Conn, peer net.Conn) {
	defer peer.Close()
	buffer := make([]byte, bufferSize)
	// Without its ReadFrom, which would allocate another buffer for each message.
	writer := struct{ io.Writer }{peer}
	for {
		_, message, err := client.NextReader()
		if err != nil {
			return
		}
		if _, err := io.CopyBuffer(writer, message, buffer); err != nil {
			return
		}
	}
}

func toClient(peer net.Conn, client *websocket.Conn) error {
	buffer := make([]byte, bufferSize)
	for {
		count, err := peer.Read(buffer)
		if err != nil {
			return err
		}
		err = client.WriteMessage(websocket.BinaryMessage, buffer[:count])
		if err != nil {
			return err
		}
	}
}

func linesToClient(peer net.Conn, client *websocket.Conn) error {
	reader := bufio.NewReaderSize(peer, bufferSize)
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		if err := client.WriteMessage(websocket.TextMessage, line); err != nil {
			return err
		}
	}
}
