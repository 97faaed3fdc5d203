#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || :
fi
[ "$1" = purge ] || exit 0
rm -rf /etc/reporterd
rm -f /etc/systemd/system/reporterd.service.d/credentials.conf # see postinstall.sh
dir=/var/lib/reporterd
if [ -d "$dir" ]; then
  if [ -e "$dir/EMPTY" ]; then
    rm -rf "$dir"
  else
    echo "reporterd: $dir is kept, for it holds usage that was not delivered. To throw it away: rm -r $dir"
    exit 0 # its files keep their owner
  fi
fi
if getent passwd reporterd >/dev/null; then
  userdel reporterd || :
fi
