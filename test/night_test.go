package test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nightVariable names the file that TestNight writes its transcript into.
const nightVariable = "REPORTERD_NIGHT"

// night is a machine on which a person types. Its network is its own, and its backend a service beside the daemon.
type night struct {
	*booted
	transcript bytes.Buffer
	commands   int // typed so far
}

// TestNight: what can happen to an operator, on a booted Debian with the package, in the order of a bad night: the installation
// with a wrong token, an outage, a full disk, a crash, an upgrade, a downgrade, a restored backup. Every event is counted once.
func TestNight(t *testing.T) {
	if os.Getenv(packagesVariable) == "" || os.Getenv(nightVariable) == "" {
		t.Skipf("boots a Debian with systemd (root, mmdebstrap, systemd-nspawn): %s=1 %s=FILE", packagesVariable, nightVariable)
	}
	ready := newCleanDebian(t)
	old, _ := packages(t, "1.0.0", "here")
	young, _ := packages(t, "1.1.0", "here")
	d := ready()
	copied(t, old+".deb", d.path("/srv/reporterd_1.0.0_linux_amd64.deb"))
	copied(t, young+".deb", d.path("/srv/reporterd_1.1.0_linux_amd64.deb"))
	copied(t, binary(t), d.path("/usr/local/bin/backend"))
	require.NoError(t, os.Chmod(d.path("/usr/local/bin/backend"), 0o755))
	b, ok := d.boot("--private-network")
	if !ok {
		t.Skip("!! SKIPPED: systemd does not run here, so nothing happens this night")
	}
	n := &night{booted: b}
	n.must("systemd-run", "--unit=backend", "/usr/local/bin/backend", "sandbox", "--listen", "127.0.0.1:7072")
	eventually(t, 20*time.Second, "the backend answers", func() bool { return n.ask("/sandbox/usage") != "" })
	n.say("A night\n\nWhat a person typed on a Debian (" + debianTree.suite + ") with the package, what they saw, and how long each command took. `TestNight` acts it " +
		"again and writes this page; hours are not waited for. The backend is the stand-in one, on 127.0.0.1:7072. " +
		"Both packages are of one commit, under two version numbers: what older versions do with newer data is `TestUpgrade`.")
	n.installation()
	n.outage()
	n.fullDisk()
	n.crash()
	n.upgradeAndBack()
	n.restore()
	n.say("# In the morning\n\nThe backend counted each of the ten events once:")
	n.types("reporterd", "status")
	assert.JSONEq(t, `{"1001":{"app1":{"hits":10}}}`, n.ask("/sandbox/usage"))
	require.NoError(t, os.WriteFile(os.Getenv(nightVariable), n.transcript.Bytes(), 0o644))
}

func copied(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, text, 0o644))
}

// say writes a paragraph; a first word # is a heading.
func (n *night) say(text string) {
	level := "#"
	if rest, found := strings.CutPrefix(text, "# "); found {
		level, text = "##", rest
	}
	fmt.Fprintf(&n.transcript, "%s %s\n\n", level, text)
}

// types runs a line in a shell, as root, and keeps what it prints. It may end with any status; one that is not 0 is kept, too.
func (n *night) types(words ...string) string {
	n.t.Helper()
	line := strings.Join(words, " ")
	ctx, cancel := context.WithTimeout(n.t.Context(), time.Minute)
	defer cancel()
	prepared := n.in("sh", "-c", "cd /srv; "+line)
	cmd := exec.CommandContext(ctx, prepared.Path, prepared.Args[1:]...)
	cmd.Env = prepared.Env
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	n.commands++
	text := strings.TrimRight(string(out), "\n")
	fmt.Fprintf(&n.transcript, "```console\n# %s\n%s", line, text)
	if text != "" {
		n.transcript.WriteString("\n")
	}
	if err != nil {
		fmt.Fprintf(&n.transcript, "(%v) ", err)
	}
	fmt.Fprintf(&n.transcript, "(%.1f s)\n```\n\n", took.Seconds())
	return text
}

// sees types a line again and again until it prints something that matches; only the last time is kept.
func (n *night) sees(pattern string, words ...string) string {
	n.t.Helper()
	var text string
	length, commands := n.transcript.Len(), n.commands
	eventually(n.t, 40*time.Second, pattern, func() bool {
		n.transcript.Truncate(length)
		n.commands = commands
		text = n.types(words...)
		return regexp.MustCompile(pattern).MatchString(text)
	})
	return text
}

// ask and fault speak to the backend from outside, as nothing that is typed.
func (n *night) ask(path string) string {
	out, _ := exec.Command("nsenter", "-t", n.leader, "-n", "curl", "-sS", "--max-time", "5", "http://127.0.0.1:7072"+path).Output()
	return strings.TrimSpace(string(out))
}

func (n *night) fault(faults string) {
	n.t.Helper()
	out, err := exec.Command("nsenter", "-t", n.leader, "-n", "curl", "-sS", "--max-time", "5", "-X", "PUT", "-d", faults, "http://127.0.0.1:7072/sandbox/faults").CombinedOutput()
	require.NoError(n.t, err, "%s", out)
}

const (
	sendOne  = "reporterd send --service 1001 --app app1 --usage hits=1"
	allAway  = `{"report":{"status":503},"authorize":{"status":503}}`
	nothing  = `{}`
	noneLeft = `\b0 pending\b`
)

func (n *night) installation() {
	began := time.Now()
	n.say("# 20:00, the installation, with a wrong token\n\nThe data directory gets a disk of its own, of 64 MiB.")
	n.types("dpkg --install reporterd_1.0.0_linux_amd64.deb")
	n.types("mount -t tmpfs -o size=64m,mode=0700,uid=reporterd,gid=reporterd none /var/lib/reporterd")
	n.types(`sed -i -e 's,https://su1.3scale.net,http://127.0.0.1:7072,' -e '/^services/,$d' /etc/reporterd/reporterd.yaml`)
	n.types(`printf '%s\n' 'spool: {min_free_bytes: 8MiB}' 'services:' '  - {id: "1001", token_file: /etc/reporterd/tokens/1001}' >>/etc/reporterd/reporterd.yaml`)
	n.types("echo a-mistyped-token >token; install -m 0640 -g reporterd token /etc/reporterd/tokens/1001")
	assert.Contains(n.t, n.types("reporterd config check"), "fine, 1 service")
	n.types("systemctl enable --now reporterd")
	n.types(sendOne)
	n.sees("held", "reporterd status")
	assert.Contains(n.t, n.types("journalctl -u reporterd -p warning -o cat"), "service_token_invalid")
	n.types("echo stoken1001 >/etc/reporterd/tokens/1001; systemctl reload reporterd")
	n.sees(noneLeft, "reporterd status")
	fmt.Fprintf(&n.transcript, "From the first command to the first delivered event, with the mistake: %d commands, %.0f s of the machine's time.\n\n",
		n.commands, time.Since(began).Seconds())
}

func (n *night) outage() {
	n.say("# 23:10, 3scale is away\n\nProducers go on; each event is answered 202.")
	n.fault(allAway)
	n.types(sendOne)
	n.types(sendOne)
	n.types("reporterd flush")
	n.sees("retrying", "reporterd status")
	n.types("journalctl -u reporterd -p warning -o cat -n 1")
	fmt.Fprint(&n.transcript, "3scale is back. Nothing has to be typed.\n\n")
	n.fault(nothing)
	n.sees(noneLeft, "reporterd status")
}

func (n *night) fullDisk() {
	n.say("# 01:30, the disk is full\n\nAnother program writes to it until nothing is left.")
	n.must("sh", "-c", "cat /dev/zero >/var/lib/reporterd/core.dump 2>/dev/null || :")
	n.types(sendOne + " --timeout 3s")
	n.types("reporterd healthcheck")
	n.types("df -h /var/lib/reporterd; ls -l /var/lib/reporterd | grep -v reporterd")
	n.types("journalctl -u reporterd -p warning -o cat -n 1")
	n.types("rm /var/lib/reporterd/core.dump")
	n.sees("1 event", sendOne)
	n.sees("^ok", "reporterd healthcheck")
	n.sees(noneLeft, "reporterd status")
}

func (n *night) crash() {
	n.say("# 03:00, the daemon crashes\n\nIt has acknowledged an event and not delivered it. systemd starts it again.")
	n.fault(allAway)
	n.types(sendOne)
	n.types("systemctl kill --kill-whom=main --signal=SEGV reporterd")
	n.sees("NRestarts=1", "systemctl show --property=NRestarts,ExecMainStatus,ActiveState reporterd")
	n.fault(nothing)
	n.sees(noneLeft, "reporterd status")
}

func (n *night) upgradeAndBack() {
	n.say("# 06:00, an upgrade, and back\n\nEach with an event that waits.")
	for _, version := range []string{"1.1.0", "1.0.0"} {
		n.fault(allAway)
		n.types(sendOne)
		n.types("dpkg --install reporterd_" + version + "_linux_amd64.deb")
		assert.Contains(n.t, n.types("reporterd --version"), version)
		n.fault(nothing)
		n.sees(noneLeft, "reporterd status")
	}
}

func (n *night) restore() {
	n.say("# 07:00, the disk is replaced and the backup restored\n\nThe backup was made at 06:50, with an event on disk that was delivered right after. Another one " +
		"was accepted and delivered since.")
	n.fault(allAway)
	n.types(sendOne)
	n.types("systemctl stop reporterd; cp -a /var/lib/reporterd backup; systemctl start reporterd")
	n.fault(nothing)
	n.sees(noneLeft, "reporterd status")
	n.types(sendOne)
	n.sees(noneLeft, "reporterd status")
	fmt.Fprint(&n.transcript, "The disk breaks.\n\n")
	n.must("systemctl", "kill", "--signal=KILL", "reporterd")
	n.types("systemctl stop reporterd; umount /var/lib/reporterd; mount -t tmpfs -o size=64m,mode=0700,uid=reporterd,gid=reporterd none /var/lib/reporterd")
	n.types("cp -a backup/. /var/lib/reporterd/")
	n.types("runuser -u reporterd -- reporterd spool verify")
	n.types("runuser -u reporterd -- reporterd spool restored")
	n.types("systemctl start reporterd")
	parked := n.sees(`\d{6}-\d{4}`, "reporterd parked ls")
	fmt.Fprint(&n.transcript, "3scale shows that event for that minute, so it was counted.\n\n")
	n.types("reporterd parked counted", regexp.MustCompile(`\d{12}-\d{4}`).FindString(parked), "--yes")
	n.types(sendOne)
	n.sees(noneLeft, "reporterd status")
}

// TestNightIsWritten: the page has every part of the night.
func TestNightIsWritten(t *testing.T) {
	text, err := os.ReadFile("../docs/night.md")
	require.NoError(t, err)
	for _, part := range []string{"20:00", "23:10", "01:30", "03:00", "06:00", "07:00", "In the morning", "service_token_invalid", "NRestarts=1", "reporterd parked counted"} {
		assert.Contains(t, string(text), part)
	}
}
