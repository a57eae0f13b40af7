#!/bin/sh
# rootfs.sh NODE DIRECTORY: a root file system that holds Node, the libraries that it is linked with, and nothing else.
set -eu
node=$1
root=$2
mkdir -p "$root/bin" "$root/tmp" "$root/etc"
cp "$node" "$root/bin/node"
# "name => /path (address)", and the loader as "/path (address)".
ldd "$node" | sed -n 's/^.* => \(\/[^ ]*\) (.*$/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*$/\1/p' | sort -u | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
# Names are resolved as the libraries of Debian do: loaded at run time, so ldd does not name them.
for library in $(dirname "$(ldd "$node" | sed -n 's/^.*libc\.so\.6 => \([^ ]*\) .*$/\1/p')")/libnss_dns.so.2 \
  $(dirname "$(ldd "$node" | sed -n 's/^.*libc\.so\.6 => \([^ ]*\) .*$/\1/p')")/libnss_files.so.2; do
  if [ -e "$library" ]; then cp -L "$library" "$root$library"; fi
done
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
printf 'holdfast:x:65532:65532::/nonexistent:/nonexistent\n' >"$root/etc/passwd"
chmod -R a+rX,a-w "$root/bin" "$root/etc"
