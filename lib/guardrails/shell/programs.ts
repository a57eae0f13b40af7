/** Names of programs that do harm or run others, by which the command within the arguments of another is found. */

const names = new Set(
  (
    'rm rmdir unlink shred dd mkfs mke2fs wipefs blkdiscard mv cp ln install truncate tee chmod chown chgrp chattr setfacl find ' +
    'kill killall killall5 pkill systemctl service init telinit shutdown reboot halt poweroff mount umount swapoff ' +
    'sh bash dash zsh ksh mksh ash csh tcsh fish busybox toybox env sudo su doas nohup setsid xargs timeout nice ionice exec eval command ' +
    'python python2 python3 perl ruby node php lua awk gawk mawk sed tar rsync curl wget nc ncat socat ' +
    'apt apt-get dpkg yum dnf rpm pacman apk zypper userdel usermod passwd chpasswd groupdel crontab at ' +
    'ip ifconfig iptables nft ufw nmcli ifdown sysctl modprobe insmod rmmod kexec ' +
    'parted fdisk sfdisk sgdisk lvremove vgremove pvremove cryptsetup mdadm zpool zfs chroot nsenter unshare'
  ).split(' '),
);

export function isProgram(name: string): boolean {
  return names.has(name) || /^mkfs\./.test(name) || /^python[\d.]+$/.test(name);
}
