package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// hostFile is a file of deployments/host in which every old text is replaced by the new one behind it.
func hostFile(t *testing.T, name string, oldNew ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deployments", "host", name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(oldNew); i += 2 {
		contains(t, string(text), oldNew[i])
	}
	return strings.NewReplacer(oldNew...).Replace(string(text))
}

// startHostBroker starts a broker with the file that operators are given; its user's password is "secret".
func startHostBroker(t *testing.T, dir string, port int) (stop func()) {
	t.Helper()
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	options, err := server.ProcessConfigFile(writeFile(t, "nats.conf", hostFile(t, "nats.conf",
		"127.0.0.1:4222", listen, "$DEALREG_NATS_PASSWORD", "secret", "/var/lib/nats", dir)))
	if err != nil {
		t.Fatal(err)
	}
	options.NoSigs = true
	broker, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	broker.Start()
	if !broker.ReadyForConnections(time.Minute) || !broker.JetStreamConfig().SyncAlways {
		t.Fatal("the broker does not start, or acknowledges what is not on the disk")
	}
	stop = func() {
		broker.Shutdown()
		broker.WaitForShutdown()
	}
	t.Cleanup(stop)
	return stop
}

func TestHost_ConfigurationIsOne(t *testing.T) {
	t.Parallel()
	_, command, _ := strings.Cut(hostFile(t, "dealreg.service"), "\nExecStart=/usr/local/bin/dealreg ")
	command, _, _ = strings.Cut(command, "\n")
	flag, _, _ := strings.Cut(command, "/etc/dealreg/dealreg.json")
	if flag != "up --config=" {
		t.Fatalf("the service runs dealreg %s", command)
	}
	out, code := result(t, "config", "print", "--config="+writeFile(t, "dealreg.json", hostFile(t, "dealreg.json")))
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	contains(t, out, `"/var/lib/dealreg"`, `"https://deals.example.org"`)
}
