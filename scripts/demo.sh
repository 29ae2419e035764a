#!/bin/sh
# What symprobe does, on this machine's own binaries and a program that counts its own calls.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH

# Print a command as it would be typed, then run it.
show() {
	printf '\n$'
	for word in "$@"; do
		case $word in
		*[!A-Za-z0-9_./=+:@,-]*) printf " '%s'" "$word" ;;
		*) printf ' %s' "$word" ;;
		esac
	done
	printf '\n'
	"$@"
}

# A command that needs more than this machine or user has says so itself; the demo goes on.
try() { show "$@" || printf '(exit code %s)\n' "$?"; }

has() { symprobe "$1" --help >/dev/null 2>&1; }

python fixtures/build.py uprobeme-static uprobeme-pie hello-pie >/dev/null
cd fixtures/build

show symprobe info uprobeme-static uprobeme-pie
show symprobe ls /bin/bash --grep 'read_(builtin|command)'
show symprobe ls libc.so.6 --grep '^exit|memcpy' --table dynsym
if has deps; then show symprobe deps /bin/ls; fi
if has resolve; then show symprobe resolve libc.so.6 exit memcpy; fi
if has check; then show symprobe check libc.so.6 --require malloc --forbid gets_s; fi
if has doctor; then try symprobe doctor; fi
if has trace; then try symprobe trace uprobeme-pie foo bar -- ./uprobeme-pie --count 1000; fi
