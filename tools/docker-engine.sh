#!/usr/bin/env bash
# Says "required" when tests can have a Docker Engine: one that answers, or a dockerd that they may start
# themselves. Debian's is installed where it is missing and root asks. Where there can be none it says nothing,
# and why on standard error.
set -euo pipefail

none() { echo "NOT TESTED: whatever needs a Docker Engine: $1" >&2; exit 0; }

if command -v docker >/dev/null && timeout 10 docker info >/dev/null 2>&1; then
  echo required
  exit
fi
[ "$(id -u)" = 0 ] || none "none answers, and only root can start one"
if ! command -v dockerd >/dev/null; then
  command -v apt-get >/dev/null || none "there is no dockerd, and no apt-get to install one with"
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends docker.io; } >&2 ||
    none "docker.io could not be installed"
fi
echo required
