package dealcsv_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dealreg/dealreg/pkg/dealcsv"
)

func openTable(t *testing.T, text string) *dealcsv.Table {
	t.Helper()
	table, err := dealcsv.NewTable(strings.NewReader(text), []string{"name", "country"}, []string{"domain"})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestTable_GivesTheCellsOfEachRowUnderOurNames(t *testing.T) {
	t.Parallel()
	table := openTable(t, "\ufeff Country;NAME\r\nDE;\" Alder  AG\"\r\n;\r\nDE;=Birch;x\r\nDE;Cedar\a\r\n")
	row, cells, err := table.Next()
	if diff := cmp.Diff(map[string]string{"name": "Alder AG", "country": "DE"}, cells); err != nil || !row.Sound() || row.Line != 2 || diff != "" {
		t.Errorf("%+v %v %s", row, err, diff)
	}
	tooLong, _, err := table.Next()
	if err != nil || tooLong.Sound() || tooLong.Line != 4 {
		t.Errorf("%+v %v", tooLong, err)
	}
	control, _, err := table.Next()
	if err != nil || len(control.Reasons) != 1 || !strings.HasPrefix(control.Reasons[0], "NAME: ") {
		t.Errorf("%+v %v", control, err)
	}
	if _, _, err := table.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("behind the last row: %v", err)
	}
	again := openTable(t, rejectsOf(t, table.Header(), []dealcsv.Row{tooLong}))
	if row, cells, err := again.Next(); err != nil || !row.Sound() || cells["name"] != "=Birch,x" {
		t.Errorf("a rejected row came back as %+v %v %v", row, cells, err)
	}
}

func TestNewTable_NamesEveryColumnThatIsMissingTwiceOrUnknown(t *testing.T) {
	t.Parallel()
	_, err := dealcsv.NewTable(strings.NewReader("name,Name,land,web\n"), []string{"name", "country"}, []string{"domain"})
	want := dealcsv.Faults{
		"column country is missing: add it",
		`column "name" is there twice: remove or rename one`,
		`unknown columns "land", "web": remove or rename them; our columns are name, country, domain`,
	}
	var faults dealcsv.Faults
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, faults); diff != "" {
		t.Error(diff)
	}
}
