package portal

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/dealreg/dealreg/pkg/webhook/webhooktest"
)

func TestScript_IsWhatItsSourcesGive(t *testing.T) {
	t.Parallel()
	webhooktest.NodeModules(t, "assets")
	built := filepath.Join(t.TempDir(), "portal.js")
	build := exec.CommandContext(t.Context(), "npm", "run", "--silent", "build", "--", "--outfile="+built, "--allow-overwrite")
	build.Dir = "assets"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got, err := os.ReadFile(built)
	if err != nil {
		t.Fatal(err)
	}
	want, err := assetFiles.ReadFile("assets/portal.js")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("assets/portal.js is another one: npm run build in assets")
	}
}
