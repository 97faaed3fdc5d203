//go:build unix

package cli

import (
	"fmt"
	"os"
	"syscall"
)

// checkOwner refuses to write into another user's directory: root could, and would leave files behind that
// the daemon cannot open.
func checkOwner(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		return misuse(fmt.Errorf("data_dir: %q: belongs to user id %d: run this as that user (sudo -u '#%d')", dir, owner.Uid, owner.Uid))
	}
	return nil
}

// sameOwner gives f to the owner of the file name, if there is one: root adds tokens for a daemon that is not.
func sameOwner(f *os.File, name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return nil // there is none
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		return f.Chown(int(owner.Uid), int(owner.Gid))
	}
	return nil
}
