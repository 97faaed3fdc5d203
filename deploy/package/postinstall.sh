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
chown root:reporterd /etc/reporterd/reporterd.yaml
chmod 0640 /etc/reporterd/reporterd.yaml
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || :
  if [ -n "$upgrade" ]; then
    systemctl try-restart reporterd.service || : # it goes on where it was
  fi
fi
if [ -z "$upgrade" ]; then
  echo 'reporterd: name your services in /etc/reporterd/reporterd.yaml, then: systemctl enable --now reporterd'
fi
