package embedded

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
)

// engineUser may do everything. The user `default`, as whom the engine runs its own first query, may do nothing else.
const engineUser = "dealreg"

// configXML is what both the fetched engine and a `clickhouse server` read. There are no tables for the system's own
// logs: nobody would read them and they cost disk. Loggers that quote queries are silent, since a query holds values.
var configXML = template.Must(template.New("config").Parse(`<clickhouse>
  <path>{{.Dir}}/data/</path>
  <tmp_path>{{.Dir}}/data/tmp/</tmp_path>
  <user_files_path>{{.Dir}}/data/user_files/</user_files_path>
  <users_config>{{.Dir}}/users.xml</users_config>
  <listen_host>{{.Host}}</listen_host>
  <tcp_port>{{.Port}}</tcp_port>
  <log-level>warning</log-level>
  <logger>
    <level>warning</level>
    <log>{{.Dir}}/engine.log</log>
    <size>5M</size>
    <count>2</count>
    <levels>
      <executeQuery>none</executeQuery>
      <TCPHandler>none</TCPHandler>
    </levels>
  </logger>
  <max_server_memory_usage>{{.MaxMemory}}</max_server_memory_usage>
  <mark_cache_size>67108864</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <max_connections>256</max_connections>
  <background_pool_size>2</background_pool_size>
  <background_schedule_pool_size>16</background_schedule_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <merge_tree>
    <number_of_free_entries_in_pool_to_execute_mutation>2</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>2</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>2</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
  </merge_tree>
</clickhouse>
`))

// usersXML shuts out the other users of this machine. The fetched engine runs its first query as `default` without a
// password, and so could they: SYSTEM LISTEN is all that this user is granted, the quota is that one query (the
// interval ends in 2046), and as no statement with more than one element is accepted, not even SELECT 1 is answered.
// Refusing at the password instead would be worse: the fetched engine aborts at a wrong one.
var usersXML = template.Must(template.New("users").Parse(`<clickhouse>
  <profiles>
    <default/>
    <opener>
      <max_ast_elements>1</max_ast_elements>
      <constraints><max_ast_elements><const/></max_ast_elements></constraints>
    </opener>
  </profiles>
  <quotas>
    <default/>
    <opener><interval><duration>1200000000</duration><queries>1</queries></interval></opener>
  </quotas>
  <users>
{{- if .Opener}}
    <default>
      <password></password>
      <networks><ip>{{.Host}}</ip></networks>
      <profile>opener</profile>
      <quota>opener</quota>
      <grants><query>GRANT SYSTEM LISTEN ON *.*</query></grants>
    </default>
{{- end}}
    <{{.User}}>
      <password_sha256_hex>{{.PasswordHash}}</password_sha256_hex>
      <networks><ip>{{.Host}}</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <access_management>1</access_management>
    </{{.User}}>
  </users>
</clickhouse>
`))

func (c *ClickHouse) addr() string { return net.JoinHostPort(Loopback, strconv.Itoa(c.cfg.Port)) }

// writeConfig writes the files that the engine reads at its start. The password itself is in none of them.
func (c *ClickHouse) writeConfig() error {
	hash := sha256.Sum256([]byte(c.password))
	values := map[string]any{
		"Dir": xmlText(c.cfg.Dir), "Host": Loopback, "Port": c.cfg.Port, "MaxMemory": c.cfg.MaxMemory,
		"User": engineUser, "PasswordHash": hex.EncodeToString(hash[:]), "Opener": c.engine.server == "",
	}
	for name, t := range map[string]*template.Template{configFile: configXML, "users.xml": usersXML} {
		var text strings.Builder
		if err := t.Execute(&text, values); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(c.cfg.Dir, name), []byte(text.String()), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(c.cfg.Dir, openFile), []byte("SYSTEM START LISTEN TCP"), 0o600)
}

// xmlText makes a path fit for an element's text.
func xmlText(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
