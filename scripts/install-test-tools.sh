#!/usr/bin/env bash
# Installs what the tests compare against: stock rsync, gocryptfs, sshd, FUSE, strace, systemd, cron, XML readers, a keyring, Wine. Debian or
# Ubuntu, as root. Does nothing when all of it is there.
set -euo pipefail

missing=()
need() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing+=("$2"); }
need rsync rsync
need rrsync rsync
need gocryptfs gocryptfs
need sshd openssh-server
need ssh openssh-client
need ssh-keygen openssh-client
need fusermount3 fuse3
need getfattr attr
need strace strace
need script bsdutils
need mkfifo coreutils
need unshare util-linux
need systemd-analyze systemd
need cron cron
need crontab cron
need xmllint libxml2-utils
need plistutil libplist-utils
need dbus-daemon dbus
need dbus-send dbus-bin
need gnome-keyring-daemon gnome-keyring
need secret-tool libsecret-tools
[ -e /usr/lib/python3/dist-packages/fusepy.py ] || [ -e /usr/lib/python3/dist-packages/fuse.py ] || missing+=(python3-fusepy)
need wine wine64
need wine wine

if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "The tests need these packages: ${missing[*]}. Please install them." >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q >/dev/null
  apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
fi
# Old gocryptfs packages call `fusermount`; fuse3 may bring it only under its new name.
if ! command -v fusermount >/dev/null 2>&1 && command -v fusermount3 >/dev/null 2>&1; then
  ln -s "$(command -v fusermount3)" /usr/local/bin/fusermount
fi
