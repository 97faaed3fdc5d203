package test

import (
	"os"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// keepsWhatAnAdministratorChanged upgrades the package over what an administrator made of its files: a configuration that
// was removed stays away and does not fail the upgrade, modes and links stay as they are, what a link points to is not
// touched, and a group that was deleted is made again. The package is gone when it returns.
func (d *cleanDebian) keepsWhatAnAdministratorChanged(old, young string) {
	d.t.Helper()
	const file, tokens = "/etc/reporterd/reporterd.yaml", "/etc/reporterd/tokens"
	mode := func(path string) string { return d.do("stat", "-c", "%U:%G %a", path) }
	installed := func() string { return d.do("dpkg-query", "--show", "--showformat=${db:Status-Status}", "reporterd") }

	d.install(old)
	d.do("chmod", "0600", file)
	d.do("chmod", "0700", tokens)
	require.NoError(d.t, os.WriteFile(d.path("/etc/elsewhere"), []byte("secret"), 0o600))
	d.do("ln", "-s", "/etc/elsewhere", tokens+"/1001")
	d.install(young)
	assert.Equal(d.t, "root:reporterd 600\n", mode(file), "an upgrade does not open what was closed")
	assert.Equal(d.t, "root:reporterd 700\n", mode(tokens))
	assert.Equal(d.t, "root:root 600\n", mode("/etc/elsewhere"), "what a link points to")

	d.do("rm", file)
	d.do("groupmod", "--new-name", "elsewhere", "reporterd") // the group is missing
	d.install(old)
	d.install(young)
	assert.Equal(d.t, "installed", installed())
	assert.NoFileExists(d.t, d.path(file), "what was removed stays removed")
	d.do("getent", "group", "reporterd")

	d.do("dpkg", "--purge", "reporterd")
	d.do("rm", "/etc/elsewhere")
	if d.command("root:root", "getent", "group", "elsewhere").Run() == nil {
		d.do("groupdel", "elsewhere")
	}
}
