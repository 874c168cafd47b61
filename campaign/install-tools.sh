#!/usr/bin/env bash
# Installs strace, by which the campaign kills a program at a counted system call, or lets that call fail. Debian or Ubuntu, as root.
set -euo pipefail
command -v strace >/dev/null 2>&1 && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "The campaign needs strace. Please install it." >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
apt-get install -y -q --no-install-recommends strace >/dev/null
