#!/bin/sh
# Make this machine ready: setup.sh demo | test | bench
#
# The distribution's packages (scripts/packages.txt; as root, or through sudo), then a virtual
# environment in .venv with symprobe in it. What can't be installed is named, and left behind
# in .venv/.ready-LIST, which also tells make that all this is done.
set -eu
cd "$(dirname "$0")/.."
list=$1
venv=.venv
missing=

say() { printf 'setup: %s\n' "$*" >&2; }

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
		sudo "$@"
	else
		return 1
	fi
}

apt() {
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >&2
}

# Install packages: all at once, else one by one, so that one that can't be had is known by name.
install() {
	[ $# -gt 0 ] || return 0
	if ! command -v apt-get >/dev/null || ! as_root true; then
		missing="$missing $*"
		return 0
	fi
	say "installing $*"
	find /var/lib/apt/lists -name '*_Packages*' 2>/dev/null | grep -q . || apt update || true
	apt install -y --no-install-recommends "$@" && return 0
	apt update || true
	for package in "$@"; do
		apt install -y --no-install-recommends "$package" || missing="$missing $package"
	done
}

present() {
	case $1 in
	/*) [ -e "$1" ] ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

# The packages of the lists $1 whose probe finds nothing.
needed() {
	grep -E "^($1) " scripts/packages.txt | while read -r _ package probe; do
		present "$probe" || printf '%s ' "$package"
	done
}

# The distribution's Python, which is built for speed, else the newest that runs (a version manager's command may exist without its Python).
find_python() {
	for python in /usr/bin/python3 python3.13 python3.12 python3.11 python3.10 python3; do
		if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; then
			echo "$python"
			return 0
		fi
	done
	return 1
}

make_venv() {
	"$venv/bin/python" -c 'import pip' >/dev/null 2>&1 && return 0
	if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
		install python3-venv "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
	fi
	rm -rf "$venv"
	"$python" -m venv "$venv"
}

case $list in
demo) lists=demo extras=disasm ;;
test) lists='demo|test' extras=disasm,test ;;
bench) lists='demo|test|bench' extras=disasm,test,bench ;;
*) say "usage: setup.sh demo | test | bench" && exit 2 ;;
esac

# shellcheck disable=SC2046
install $(needed "$lists")
python=$(find_python) || {
	install python3
	python=$(find_python) || { say "Python 3.10 or newer is needed: install python3"; exit 2; }
}
make_venv || { say "$python can't make a virtual environment: install python3-venv"; exit 2; }
say "installing symprobe and its Python packages into $venv"
# As a path, not by an import hook: that would take 5 ms and more of each start.
editable="--config-settings editable_mode=compat -e"
"$venv/bin/python" -m pip install -q --disable-pip-version-check $editable ".[$extras]" || {
	say "pip could not install the Python packages: see above"
	exit 2
}
# atheris has no wheel for every machine and Python: what needs it can do without.
case $extras in
*test*)
	"$venv/bin/python" -m pip install -q --disable-pip-version-check $editable ".[fuzz]" ||
		missing="$missing atheris (of pip)"
	;;
esac
# As for an installed package; with PYTHONDONTWRITEBYTECODE every start would compile all modules.
"$venv/bin/python" -m compileall -q symprobe || true
printf '%s' "$missing" >"$venv/.ready-$list"
