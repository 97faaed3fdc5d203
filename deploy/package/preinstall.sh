#!/bin/sh
set -e
# The user outlives the package, as its files do.
if ! getent passwd reporterd >/dev/null; then
  useradd --system --user-group --home-dir /var/lib/reporterd --no-create-home --shell /usr/sbin/nologin reporterd
fi
