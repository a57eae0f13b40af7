#!/bin/sh
# systemctl on units below $FAKE_ROOT: a unit is there by its file in /lib/systemd/system, active by one in
# /run/systemd/active, enabled and masked by the links that systemd itself makes.
set -eu
verb= unit=
for word in "$@"; do
  case $word in
    -*) ;;
    *) if [ -z "$verb" ]; then verb=$word; else unit=$word; fi ;;
  esac
done
file=$FAKE_ROOT/lib/systemd/system/$unit
active=$FAKE_ROOT/run/systemd/active/$unit
wants=$FAKE_ROOT/etc/systemd/system/multi-user.target.wants/$unit
mask=$FAKE_ROOT/etc/systemd/system/$unit
stale=$FAKE_ROOT/run/systemd/stale

masked() { [ "$(readlink "$mask" 2> /dev/null)" = /dev/null ]; }

case $verb in
  show)
    load=not-found state=inactive enabled=
    if [ -e "$file" ]; then load=loaded enabled=disabled; grep -q '^\[Install\]' "$file" || enabled=static; fi
    if [ -L "$wants" ]; then enabled=enabled; fi
    if masked; then load=masked enabled=masked; fi
    if [ -e "$active" ]; then state=active; fi
    type=$(sed -n 's/^Type=//p' "$file" 2> /dev/null || true)
    reload=no; if [ -e "$stale" ]; then reload=yes; fi
    printf 'Type=%s\nRemainAfterExit=no\nLoadState=%s\nActiveState=%s\nUnitFileState=%s\nNeedDaemonReload=%s\n' \
      "${type:-simple}" $load $state "$enabled" $reload
    ;;
  start | restart | reload-or-restart)
    if masked; then echo "Failed to $verb $unit: Unit $unit is masked." >&2; exit 1; fi
    if ! [ -e "$file" ]; then echo "Failed to $verb $unit: Unit $unit not found." >&2; exit 5; fi
    echo "$verb $unit" >> "$FAKE_ROOT/run/systemd/log"
    : > "$active"
    ;;
  stop) rm -f "$active" ;;
  enable) mkdir -p "${wants%/*}"; ln -sf "/lib/systemd/system/$unit" "$wants" ;;
  disable) rm -f "$wants" ;;
  mask) ln -sf /dev/null "$mask" ;;
  unmask) rm -f "$mask" ;;
  daemon-reload) rm -f "$stale" ;;
esac
