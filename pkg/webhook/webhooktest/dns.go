package webhooktest

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
)

// zone answers for names as a name server does: with the name's next list of addresses each time that it is asked, and
// with the last list from then on. Names that are not in it do not exist.
type zone struct {
	mu      sync.Mutex
	answers map[string][]string
}

// Names gives a resolver that knows these names and no others: by name lists of addresses with commas between them, of which
// each look-up takes the next and the last one stays.
func Names(answers map[string][]string) *net.Resolver {
	z := &zone{answers: answers}
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go z.serve(server)
		return client, nil
	}}
}

// serve answers the questions on one connection, each with its length before it (RFC 1035, 4.2.2).
func (z *zone) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, question); err != nil {
			return
		}
		answer := z.answer(question)
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil { // #nosec G115 -- a test's answer is short
			return
		}
	}
}

const (
	typeA    = 1
	typeAAAA = 28
)

func (z *zone) answer(message []byte) []byte {
	var labels []string
	at := 12
	for message[at] != 0 {
		labels = append(labels, string(message[at+1:at+1+int(message[at])]))
		at += 1 + int(message[at])
	}
	question := message[12 : at+5]
	addresses, exists := z.next(strings.Join(labels, "."), binary.BigEndian.Uint16(message[at+1:]))
	code := byte(0)
	if !exists {
		code = 3 // NXDOMAIN
	}
	header := []byte{message[0], message[1], 0x81, 0x80 | code, 0, 1, 0, byte(len(addresses)), 0, 0, 0, 0} // #nosec G115 -- a test's answer is short
	answer := append(header, question...)
	for _, a := range addresses {
		raw := a.AsSlice()
		answer = append(answer, 0xc0, 12, 0, byte(typeOf(a)), 0, 1, 0, 0, 0, 0, 0, byte(len(raw))) // #nosec G115 -- as above; it lives no second
		answer = append(answer, raw...)
	}
	return answer
}

func typeOf(a netip.Addr) uint16 {
	if a.Is4() {
		return typeA
	}
	return typeAAAA
}

// next is the name's addresses of the kind. The question for A, which comes once in each look-up, uses a list up.
func (z *zone) next(name string, kind uint16) (addresses []netip.Addr, exists bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	lists, exists := z.answers[name]
	if !exists {
		return nil, false
	}
	for text := range strings.SplitSeq(lists[0], ",") {
		if a := netip.MustParseAddr(text); typeOf(a) == kind {
			addresses = append(addresses, a)
		}
	}
	if kind == typeA && len(lists) > 1 {
		z.answers[name] = lists[1:]
	}
	return addresses, true
}
