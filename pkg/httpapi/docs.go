package httpapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// The page at /docs shows the document to people. Everything that it loads comes out of the binary: its own script and
// style, and Scalar (docs/README.md says where that comes from).
//
//go:embed docs/index.html docs/start.js docs/scalar.js.gz
var pageFiles embed.FS

// pagePolicy lets the page load and ask this server only. Scalar writes style elements and style attributes while it
// runs, which takes style-src 'unsafe-inline'; no script can come in that way. Images are our own empty icon (data:).
// Once it tries whether eval is allowed, is refused, and goes on without. It needs no inline scripts, fonts or workers.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// asset is one file of the page.
type asset struct {
	mediaType string
	body      []byte
	packed    []byte // the same, gzipped; nil when it is served as it is
	tag       string
	cache     string
}

func (s *Server) servePage() {
	script := packedAsset("docs/scalar.js.gz", "text/javascript; charset=utf-8")
	start := plainAsset("docs/start.js", "text/javascript; charset=utf-8", nil)
	// The script's address has its hash in it, so a browser fetches it once for each version.
	address := "scalar-" + script.tag[1:17] + ".js"
	script.cache = "public, max-age=31536000, immutable"
	page := plainAsset("docs/index.html", "text/html; charset=utf-8", strings.NewReplacer("scalar.js", "docs/"+address, "start.js", "docs/start.js"))
	s.Mux.Handle("GET /docs", page)
	s.Mux.Handle("GET /docs/start.js", start)
	s.Mux.Handle("GET /docs/"+address, script)
}

func plainAsset(name, mediaType string, change *strings.Replacer) *asset {
	body, err := pageFiles.ReadFile(name)
	if err != nil {
		panic(err) // it is in the binary
	}
	if change != nil {
		body = []byte(change.Replace(string(body)))
	}
	return &asset{mediaType: mediaType, body: body, tag: tagOf(body), cache: "no-cache"}
}

func packedAsset(name, mediaType string) *asset {
	packed, err := pageFiles.ReadFile(name)
	if err != nil {
		panic(err) // it is in the binary
	}
	return &asset{mediaType: mediaType, packed: packed, tag: tagOf(packed)}
}

func tagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// ServeHTTP answers with the file, packed for clients that unpack it.
func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", a.cache)
	h.Set("ETag", a.tag)
	h.Set("Vary", "Accept-Encoding")
	if r.Header.Get("If-None-Match") == a.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", a.mediaType)
	switch {
	case a.packed == nil:
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
		_, _ = w.Write(a.body) // the client may be gone
	case strings.Contains(r.Header.Get("Accept-Encoding"), "gzip"):
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", strconv.Itoa(len(a.packed)))
		_, _ = w.Write(a.packed)
	default:
		unpacked, err := gzip.NewReader(bytes.NewReader(a.packed))
		if err != nil {
			panic(err) // a test reads it
		}
		_, _ = io.Copy(w, unpacked) // #nosec G110 -- our own file
	}
}
