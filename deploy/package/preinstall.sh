#!/bin/sh
set -e
# The user outlives the package, as its files do.
if ! getent group reporterd >/dev/null; then
  groupadd --system reporterd
fi
if ! getent passwd reporterd >/dev/null; then
  useradd --system --gid reporterd --home-dir /var/lib/reporterd --no-create-home --shell /usr/sbin/nologin reporterd
fi
