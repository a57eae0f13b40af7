#!/bin/sh
# apt-get and dpkg on a database below $FAKE_ROOT. /srv/archive lists what the archive has ("name version [needs]"),
# `update` makes it the index, and `install` knows only the index.
set -eu
status=$FAKE_ROOT/var/lib/dpkg/status
index=$FAKE_ROOT/var/lib/apt/index

drop() { awk -v RS= -v ORS='\n\n' -v name="$1" '$2 != name' "$status" > "$status.$$"; mv "$status.$$" "$status"; }
put() { printf 'Package: %s\nStatus: install ok %s\nArchitecture: all\nVersion: %s\n\n' "$1" "$3" "$2" >> "$status"; }

if [ "$(basename "$0")" = dpkg ]; then
  # --configure -a
  sed 's/^Status: install ok \(unpacked\|half-configured\|half-installed\)$/Status: install ok installed/' "$status" > "$status.$$"
  mv "$status.$$" "$status"
  exit 0
fi

simulate=no verb= package=
while [ $# -gt 0 ]; do
  case $1 in
    -o) shift ;;
    -s) simulate=yes ;;
    -*) ;;
    install | remove | update) verb=$1 ;;
    *) package=$1 ;;
  esac
  shift
done

case $verb in
  update)
    if ! [ -e "$FAKE_ROOT/srv/archive" ]; then echo 'E: The repository is not reachable.' >&2; exit 100; fi
    cp "$FAKE_ROOT/srv/archive" "$index"
    ;;
  install)
    name=${package%%=*}
    if ! line=$(grep "^$name " "$index" 2> /dev/null | grep -F -- "$([ "$name" = "$package" ] || echo " ${package#*=}")" | tail -n 1) || [ -z "$line" ]; then
      echo "E: Unable to locate package $package" >&2
      exit 100
    fi
    version=$(echo "$line" | cut -d' ' -f2)
    drop "$name"
    put "$name" "$version" installed
    ;;
  remove)
    others=$(awk -v needs="$package" '$3 == needs { print $1 }' "$index" 2> /dev/null || true)
    for one in $package $others; do
      if grep -q "^Package: $one\$" "$status"; then
        if [ $simulate = yes ]; then echo "Remv $one [1]"; else drop "$one"; fi
      fi
    done
    ;;
esac
