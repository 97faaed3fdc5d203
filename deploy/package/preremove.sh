#!/bin/sh
set -e
# deb: remove, or upgrade. rpm: 0 on removal, 1 on upgrade. An upgrade leaves the daemon running until the new one is there.
case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
  systemctl disable --now reporterd.service || :
fi
# Whether anything that was acknowledged still waits here: what purging may delete. Asked now, while the program that
# can tell is still here.
dir=/var/lib/reporterd
if [ -d "$dir" ]; then
  rm -f "$dir/EMPTY"
  if reporterd spool stats --data-dir "$dir" --output json 2>/dev/null |
    grep -q '"pending":0,.*"dead_letters":0,.*"in_use":false'; then
    touch "$dir/EMPTY"
  else
    echo "reporterd: $dir holds usage that was not delivered. It stays there, also when the package is purged."
  fi
fi
