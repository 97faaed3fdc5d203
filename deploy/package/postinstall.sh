#!/bin/sh
set -e
# deb: configure and the version before, if any. rpm: 1 on installation, 2 on upgrade.
case "$1" in
configure) [ -n "$2" ] && upgrade=1 || upgrade= ;;
1) upgrade= ;;
2) upgrade=1 ;;
*) exit 0 ;;
esac
rm -f /var/lib/reporterd/EMPTY # see preremove.sh
# The package manager made the files with their owners; what an administrator made of them since, or removed, stays so.
# Tokens of versions before this one were credentials of the unit: where the configuration still reads them there, they
# stay available, until it names files of /etc/reporterd/tokens.
dropin=/etc/systemd/system/reporterd.service.d
if [ -n "$upgrade" ] && [ -d /etc/reporterd/credentials ] && [ ! -e "$dropin/credentials.conf" ] &&
  grep -qs '^[^#]*/run/credentials/reporterd.service/' /etc/reporterd/reporterd.yaml; then
  mkdir -p "$dropin"
  printf '[Service]\nLoadCredential=reporterd:/etc/reporterd/credentials\n' >"$dropin/credentials.conf"
fi
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || :
  if [ -n "$upgrade" ]; then
    systemctl try-restart reporterd.service || : # it goes on where it was
  fi
fi
if [ -z "$upgrade" ]; then
  echo 'reporterd: name your services in /etc/reporterd/reporterd.yaml, then: systemctl enable --now reporterd'
fi
