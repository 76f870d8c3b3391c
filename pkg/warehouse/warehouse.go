// Package warehouse is the ClickHouse contract: the schema, the insert of the log's events and the queries that fold
// them. The warehouse is a projection of the log: it may be dropped and rebuilt at any time, and it is never asked what
// a deal is, only where to find it and what deals add up to.
//
// It never writes a row that is not a function of the log, and never counts a sequence of the log twice.
package warehouse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/dealreg/dealreg/pkg/bounded"
)

// Config says where the warehouse is.
type Config struct {
	// DSN of the native protocol: clickhouse://user:password@host:9000/database. The database is created by Migrate.
	DSN string
	// MaxConns bounds the open connections; 0 means 8.
	MaxConns int
	// RollupSizes are the sizes of the ranges of sequences that are rolled up, each a multiple of the one before; nil means
	// 10,000 and 100,000. Ranges of other sizes that are stored count as well.
	RollupSizes []uint64
}

// Warehouse reads and writes one database. It is safe for concurrent use.
type Warehouse struct {
	conn     clickhouse.Conn
	options  clickhouse.Options
	database string
	exists   atomic.Bool // whether the database was seen

	rollupSizes []uint64
	rolledUp    shared[[]rollup]
	seen        atomic.Pointer[[]rollup] // what was rolled up at the last look
	latest      shared[Prefix]
	known       *bounded.Map[part, remembered]
	answers     *bounded.Map[question, Volume]
	counted     *bounded.Map[Whose, counted]

	lookBack uint64 // how many events a page of deals is looked for in first

	inserters chan *ch.Client // holds the connection of the last insert while it has nothing to do
}

// databaseName is what a database may be called: the name stands in queries that take no bound identifier.
var databaseName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// Open checks the configuration. It needs no server alive: connections are made when they are used.
func Open(cfg Config) (*Warehouse, error) {
	options, err := clickhouse.ParseDSN(cfg.DSN)
	if err != nil {
		return nil, errors.New("clickhouse DSN: write it as clickhouse://user:password@host:9000/database")
	}
	if options.Auth.Database == "" {
		options.Auth.Database = "dealreg"
	}
	if !databaseName.MatchString(options.Auth.Database) {
		return nil, errors.New("clickhouse DSN: the database name may hold letters, digits and underscores only")
	}
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 8
	}
	options.MaxOpenConns, options.MaxIdleConns = cfg.MaxConns, cfg.MaxConns
	options.DialTimeout = 5 * time.Second
	if options.Compression == nil {
		options.Compression = &clickhouse.Compression{Method: compressionFor(options.Addr)}
	}
	if options.Settings == nil {
		options.Settings = clickhouse.Settings{}
	}
	// A server-side queue would acknowledge rows that are not yet a part.
	options.Settings["async_insert"] = 0
	// Duplicates are told apart by their sequence; the server's own memory of inserts lost rows when it was killed.
	options.Settings["insert_deduplicate"] = 0
	options.Settings["deduplicate_insert"] = "disable"
	// Copies of a sequence are always in one partition, so FINAL need not compare partitions.
	options.Settings["do_not_merge_across_partitions_select_final"] = 1

	if options.TLS == nil { // the embedded engine has none
		options.DialContext = func(ctx context.Context, address string) (net.Conn, error) {
			return dialKindly(ctx, address, options.DialTimeout)
		}
	}
	if cfg.RollupSizes == nil {
		cfg.RollupSizes = defaultRollupSizes
	}
	return open(*options, cfg.RollupSizes)
}

// open opens the database that complete options name.
func open(options clickhouse.Options, rollupSizes []uint64) (*Warehouse, error) {
	w := &Warehouse{
		options: options, database: options.Auth.Database, rollupSizes: rollupSizes, lookBack: lookBack, inserters: make(chan *ch.Client, 1),
		known: bounded.NewMap[part, remembered](rememberCells), answers: bounded.NewMap[question, Volume](rememberItems),
		counted: bounded.NewMap[Whose, counted](rememberCounts),
	}
	options.DialContext = w.dial
	var err error
	w.conn, err = clickhouse.Open(&options)
	if err != nil {
		return nil, fmt.Errorf("open clickhouse: %w", err)
	}
	return w, nil
}

// compressionFor spares a server on this machine, which shares its processors with us, what a network is worth.
func compressionFor(addresses []string) clickhouse.CompressionMethod {
	for _, address := range addresses {
		host, _, err := net.SplitHostPort(address)
		if ip := net.ParseIP(host); err != nil || !ip.IsLoopback() && host != "localhost" {
			return clickhouse.CompressionLZ4
		}
	}
	return clickhouse.CompressionNone
}

// MissingError says that the database does not exist yet.
type MissingError struct{ Database string }

func (e *MissingError) Error() string {
	return "the database " + e.Database + " does not exist yet: wait for the aggregator to create it"
}

// dial connects once the database exists. The embedded engine aborts when a client asks for one that does not
// (clickhouse 26.7.2: UNKNOWN_DATABASE thrown while it greets the client), so it is asked by way of another first.
func (w *Warehouse) dial(ctx context.Context, address string) (net.Conn, error) {
	if !w.exists.Load() {
		if err := w.lookForDatabase(ctx); err != nil {
			return nil, err
		}
		w.exists.Store(true)
	}
	if w.options.TLS == nil {
		return dialKindly(ctx, address, w.options.DialTimeout)
	}
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: w.options.DialTimeout}, Config: w.options.TLS}
	return dialer.DialContext(ctx, "tcp", address)
}

func (w *Warehouse) lookForDatabase(ctx context.Context) error {
	conn, err := w.beside()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	// This may happen on the way to an insert, whose query id must not be taken by another query.
	ctx = clickhouse.Context(ctx, clickhouse.WithQueryID(""))
	var found uint64
	err = conn.QueryRow(ctx, "SELECT count() FROM system.databases WHERE name = {database:String}",
		clickhouse.Named("database", w.database)).Scan(&found)
	if err != nil {
		return fmt.Errorf("look for the database: %w", err)
	}
	if found == 0 {
		return &MissingError{Database: w.database}
	}
	return nil
}

// beside opens a connection to the database `default`, which every server has.
func (w *Warehouse) beside() (clickhouse.Conn, error) {
	options := w.options
	options.Auth.Database = "default"
	options.MaxOpenConns, options.MaxIdleConns = 1, 1
	options.Settings = maps.Clone(w.options.Settings)
	conn, err := clickhouse.Open(&options)
	if err != nil {
		return nil, fmt.Errorf("open clickhouse: %w", err)
	}
	return conn, nil
}

// Ping tells whether the server answers, with a MissingError while the database does not exist.
func (w *Warehouse) Ping(ctx context.Context) error {
	if err := w.conn.Ping(ctx); err != nil {
		return fmt.Errorf("ping clickhouse: %w", err)
	}
	return nil
}

// Close ends the connections.
func (w *Warehouse) Close() error {
	select {
	case client := <-w.inserters:
		_ = client.Close()
	default:
	}
	return w.conn.Close()
}
