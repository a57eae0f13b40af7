#!/bin/sh
# The shadow suite on the files below $FAKE_ROOT: useradd, usermod, userdel, groupadd, groupmod, groupdel, gpasswd and
# chpasswd, by the name that it is called by. Each changes files whole, as the real ones do.
set -eu
etc=$FAKE_ROOT/etc
tool=$(basename "$0")

say() { echo "$tool: $*" >&2; }
has() { grep -q "^$2:" "$etc/$1"; }
# Replaces a file by what awk makes of it.
edit() { f=$1; shift; awk -F: -v OFS=: "$@" "$etc/$f" > "$etc/$f.$$"; cat "$etc/$f.$$" > "$etc/$f-"; mv "$etc/$f.$$" "$etc/$f"; rm "$etc/$f-"; }
free_id() { awk -F: -v from="$2" 'BEGIN { id = from } $3 >= id && $3 < 60000 { id = $3 + 1 } END { print id }' "$etc/$1"; }
# Makes a user a member of exactly the groups of a list.
set_groups() {
  edit group -v user="$1" -v list="$2" '{
    n = split($4, members, ","); wanted = index("," list ",", "," $1 ",") > 0; out = ""
    for (i = 1; i <= n; i++) if (members[i] != user) out = out (out == "" ? "" : ",") members[i]
    if (wanted) out = out (out == "" ? "" : ",") user
    $4 = out; print }'
}

uid= gid= home= shell= comment= groups=- create=no system=no members=
while [ $# -gt 0 ]; do
  case $1 in
    --uid) uid=$2; shift ;;
    --gid) gid=$2; shift ;;
    --home | --home-dir) home=$2; shift ;;
    --shell) shell=$2; shift ;;
    --comment) comment=$2; shift ;;
    --groups) groups=$2; shift ;;
    --members) members=$2; shift ;;
    --create-home) create=yes ;;
    --no-create-home) ;;
    --system) system=yes ;;
    -e) ;;
    --) ;;
    -*) say "unknown option $1"; exit 2 ;;
    *) name=$1 ;;
  esac
  shift
done

case $tool in
  useradd)
    if has passwd "$name"; then say "user '$name' already exists"; exit 9; fi
    if [ -z "$gid" ] && has group "$name"; then say "group $name exists - if you want to add this user to that group, use -g."; exit 9; fi
    start=1000; [ $system = yes ] && start=100
    : "${uid:=$(free_id passwd $start)}"
    if [ -z "$gid" ]; then
      gid=$(free_id group $start)
      echo "$name:x:$gid:" >> "$etc/group"
    fi
    : "${home:=/home/$name}"
    echo "$name:x:$uid:$gid:$comment:$home:${shell:-/bin/sh}" >> "$etc/passwd"
    echo "$name:!:20000:0:99999:7:::" >> "$etc/shadow"
    if [ "$groups" != - ]; then set_groups "$name" "$groups"; fi
    if [ $create = yes ]; then mkdir -p -m 700 "$FAKE_ROOT$home"; fi
    ;;
  usermod)
    if ! has passwd "$name"; then say "user '$name' does not exist"; exit 6; fi
    edit passwd -v name="$name" -v uid="$uid" -v gid="$gid" -v home="$home" -v shell="$shell" -v comment="$comment" '
      $1 == name { if (uid != "") $3 = uid; if (gid != "") $4 = gid; if (comment != "") $5 = comment
                   if (home != "") $6 = home; if (shell != "") $7 = shell } { print }'
    if [ "$groups" != - ]; then set_groups "$name" "$groups"; fi
    ;;
  userdel)
    if ! has passwd "$name"; then say "user '$name' does not exist"; exit 6; fi
    edit passwd -v name="$name" '$1 != name'
    edit shadow -v name="$name" '$1 != name'
    set_groups "$name" ''
    edit group -v name="$name" '!($1 == name && $4 == "")'
    ;;
  groupadd)
    if has group "$name"; then say "group '$name' already exists"; exit 9; fi
    start=1000; [ $system = yes ] && start=100
    echo "$name:x:${gid:-$(free_id group $start)}:" >> "$etc/group"
    ;;
  groupmod)
    edit group -v name="$name" -v gid="$gid" '$1 == name { $3 = gid } { print }'
    ;;
  groupdel)
    if ! has group "$name"; then say "group '$name' does not exist"; exit 6; fi
    edit group -v name="$name" '$1 != name'
    ;;
  gpasswd)
    edit group -v name="$name" -v members="$members" '$1 == name { $4 = members } { print }'
    ;;
  chpasswd)
    while IFS= read -r line; do
      edit shadow -v name="${line%%:*}" -v hash="${line#*:}" '$1 == name { $2 = hash } { print }'
    done
    ;;
esac
