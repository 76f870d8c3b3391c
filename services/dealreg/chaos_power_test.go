//go:build chaos

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"

	"github.com/dealreg/dealreg/pkg/embedded"
)

// disk is a file system in a file, whose power can be cut.
type disk struct {
	t     *testing.T
	image string
	at    string // where it is mounted
}

// newDisk mounts the image, which it makes when there is none. The file system writes by itself what is five minutes old:
// before that, only what a program has asked it to.
func newDisk(t *testing.T, image string) *disk {
	t.Helper()
	asRoot(t)
	d := &disk{t: t, image: image, at: t.TempDir()}
	if _, err := os.Stat(image); err != nil {
		do(t, needs(t, "truncate", "coreutils"), "--size", "16G", image)
		do(t, needs(t, "mkfs.ext4", "e2fsprogs"), "-q", image)
	}
	do(t, needs(t, "mount", "mount"), "-o", "loop,commit=300", image, d.at)
	t.Cleanup(func() { do(t, "umount", "-l", d.at) })
	return d
}

// cut takes the power away: nothing more reaches the disk, neither data nor the journal, and nothing can be read. It
// returns another disk with a copy of what was on this one.
func (d *disk) cut(processes ...*process) *disk {
	d.t.Helper()
	for _, p := range processes { // who still ran would see a disk that fails, and answer what that says
		if err := syscall.Kill(p.cmd.Process.Pid, syscall.SIGSTOP); err != nil {
			d.t.Fatal(err)
		}
	}
	const shutdown, withoutFlush = 0x8004587d, uint32(2) // EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH
	root, err := os.Open(d.at)
	if err != nil {
		d.t.Fatal(err)
	}
	defer root.Close()
	flags := withoutFlush
	if _, _, failed := syscall.Syscall(syscall.SYS_IOCTL, root.Fd(), shutdown, uintptr(unsafe.Pointer(&flags))); failed != 0 { // #nosec G103 -- the kernel's way to say it
		d.t.Fatal("cut the power: ", failed)
	}
	for _, p := range processes {
		p.kill()
	}
	left := d.image + ".left"
	do(d.t, "cp", "--sparse=always", d.image, left)
	return newDisk(d.t, left)
}

func TestChaos_PowerCutLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	before := newDisk(t, filepath.Join(t.TempDir(), "disk"))
	w, p := onUp(t, filepath.Join(before.at, "data"))
	end := w.begin()
	defer end()
	w.more(20 * workers)
	after := before.cut(p)
	t.Logf("%d changes were acknowledged before the cut", w.kept())
	p = up(t, filepath.Join(after.at, "data"))
	w.door.put("", p.url)
	p.waitFor(`(is up)`)
	w.more(4 * workers)
	end()
	w.check()
}

func TestChaos_PowerCutLosesNoAcknowledgedBatch(t *testing.T) {
	t.Parallel()
	before := newDisk(t, filepath.Join(t.TempDir(), "disk"))
	port, err := embedded.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	broker := startBroker(t, filepath.Join(before.at, "nats"), port)
	c := newCrowd(t, crowdConn(t, broker.url))
	c.more(20)
	after := before.cut(broker)
	acknowledged := c.acknowledged()
	startBroker(t, filepath.Join(after.at, "nats"), port)
	c.more(4)
	c.check(acknowledged)
}

// TestChaos_PowerCutLosesWhatTheBrokerSyncsLate shows that the tests above would see a loss: the same cut, of a broker with
// the sync interval that nats-server has by itself.
func TestChaos_PowerCutLosesWhatTheBrokerSyncsLate(t *testing.T) {
	t.Parallel()
	before := newDisk(t, filepath.Join(t.TempDir(), "disk"))
	port, err := embedded.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	start := func(d *disk) *process {
		return startBroker(t, filepath.Join(d.at, "nats"), port, brokerSync+"=1")
	}
	broker := start(before)
	w, p := onUp(t, t.TempDir(), "--nats-url", broker.url)
	end := w.begin()
	w.more(20 * workers)
	end()
	acknowledged := w.kept()
	after := before.cut(broker, p)
	start(after)
	lost := acknowledged - lastOf(t, broker.url)
	t.Logf("%d of %d acknowledged changes are lost", lost, acknowledged)
	if lost <= 0 {
		t.Error("nothing is lost: the cut of power cuts nothing")
	}
}
