package portal

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"strings"
)

//go:embed assets/portal.css assets/portal.js
var assetFiles embed.FS

// asset is a file that pages load. Its address holds its hash, so a browser fetches it once for each version.
type asset struct {
	address, mediaType string
	plain, packed      []byte
}

func loadAsset(name, mediaType string) (*asset, error) {
	plain, err := fs.ReadFile(assetFiles, "assets/"+name)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	zip, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := zip.Write(plain); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(plain)
	base, extension, _ := strings.Cut(name, ".")
	return &asset{
		address: "/portal/" + base + "-" + hex.EncodeToString(sum[:8]) + "." + extension, mediaType: mediaType,
		plain: plain, packed: packed.Bytes(),
	}, nil
}

// ServeHTTP answers with the file, packed for browsers that unpack it.
func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.mediaType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Vary", "Accept-Encoding")
	body := a.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = a.packed
	}
	_, _ = w.Write(body) // the client may be gone
}
