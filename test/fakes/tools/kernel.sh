#!/bin/sh
# mount, umount, sysctl and hostname on a kernel that is files below $FAKE_ROOT/proc.
set -eu
table=$FAKE_ROOT/proc/self/mountinfo
replace() { cat > "$1.$$"; mv "$1.$$" "$1"; }

case $(basename "$0") in
  sysctl)
    for word in "$@"; do
      case $word in
        -*) ;;
        *)
          if ! [ -e "$FAKE_ROOT/proc/sys/${word%%=*}" ]; then echo "sysctl: cannot stat $word" >&2; exit 1; fi
          # As the kernel, which prints several numbers with tabs between.
          echo "${word#*=}" | tr ' ' '\t' | replace "$FAKE_ROOT/proc/sys/${word%%=*}"
          ;;
      esac
    done
    ;;
  hostname) echo "$1" | replace "$FAKE_ROOT/proc/sys/kernel/hostname" ;;
  mount)
    if [ "$1" = -o ]; then
      options=$(echo "${2#remount,}" | sed 's/^defaults$/rw/')
      awk -v path="$3" -v options="$options" '$5 == path { $6 = options } { print }' "$table" | replace "$table"
    else
      line=$(awk -v path="$1" '$2 == path' "$FAKE_ROOT/etc/fstab")
      if [ -z "$line" ]; then echo "mount: $1: can't find in /etc/fstab." >&2; exit 1; fi
      set -f; set -- $line
      { cat "$table"; echo "99 1 0:99 / $2 $(echo "$4" | sed 's/^defaults$/rw/') - $3 $1 rw"; } | replace "$table"
    fi
    ;;
  umount) awk -v path="$1" '$5 != path' "$table" | replace "$table" ;;
esac
