package warehouse_test

import (
	"errors"
	"io"
	"net"
	"testing"

	"github.com/dealreg/dealreg/pkg/warehouse"
)

// TestDialKindly_NeverResetsTheServer closes a connection with an unread answer: one reset, and the embedded engine is gone.
func TestDialKindly_NeverResetsTheServer(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for range 20 {
		client, err := warehouse.DialKindly(t.Context(), listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		server, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := server.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, make([]byte, 1)); err != nil { // the rest has come too
			t.Fatal(err)
		}
		waits := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, client)
			waits <- err
		}()
		if err := errors.Join(client.Close(), client.Close()); err != nil {
			t.Error(err)
		}
		if err := <-waits; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("a read that waited ended with %v", err)
		}
		for range 3 { // what the server sends before it has seen the end
			if _, err := server.Write(make([]byte, 100)); err != nil {
				t.Error(err)
			}
		}
		if _, err := io.ReadAll(server); err != nil {
			t.Errorf("the server met %v", err)
		}
		_ = server.Close()
	}
}
