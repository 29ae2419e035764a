#!/bin/sh
# A fresh machine, rehearsed: rehearse.sh DIR [SUITE [COMMAND...]]
#
# Puts a minimal Debian (SUITE: bookworm) into the empty directory DIR, from the mirror that this
# machine's apt uses, clones this project's last commit into it, and runs there what README.md
# tells a newcomer to run (or COMMAND). As root; needs debootstrap. A DIR that holds a system
# already is used as it is, with a new clone. All mounts are in a namespace of their own and end
# with the script; `rm -r DIR` removes the rest.
set -eu
[ $# -ge 1 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
project=$(cd "$(dirname "$0")/.." && pwd)
root=$1
suite=${2:-bookworm}
shift
[ $# = 0 ] || shift
[ "$(id -u)" = 0 ] || { echo "rehearse: needs root: chroot, mount" >&2; exit 2; }
if [ -z "${REHEARSAL_INSIDE:-}" ]; then
	REHEARSAL_INSIDE=1 exec unshare --mount --propagation private "$0" "$root" "$suite" "$@"
fi

say() { printf 'rehearse: %s\n' "$*" >&2; }

mirror() {
	apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
		awk -v suite="$suite" '$2 == suite { print $1; exit }'
}

# What reaches this machine's mirrors and registries reaches them from in there too.
connect() {
	cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
	apt-config dump | grep '^Acquire::' >"$root/etc/apt/apt.conf.d/90rehearsal"
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" # starts no services
	chmod 755 "$root/usr/sbin/policy-rc.d"
	[ ! -e /etc/ssl/certs/ca-certificates.crt ] ||
		cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/rehearsal-certificates.crt"
}

# unshare(1) wants the root to be a mount point, which that of a real machine is.
mounts() {
	mount --bind "$root" "$root"
	mount -t proc proc "$root/proc"
	mount --rbind /sys "$root/sys"
	mount --rbind /dev "$root/dev"
}

# A command in there, with nothing of this environment but the way to the network.
inside() {
	printf '\n# %s\n' "$*"
	chroot "$root" env -i HOME=/root LANG=C.UTF-8 CI="${CI:-true}" \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" no_proxy="${no_proxy:-}" \
		PIP_CERT=/etc/rehearsal-certificates.crt DEBIAN_FRONTEND=noninteractive \
		sh -c "$*"
}

if [ ! -x "$root/usr/bin/apt-get" ]; then
	from=$(mirror)
	[ -n "$from" ] || { say "this machine's apt has no mirror of $suite"; exit 2; }
	say "a minimal $suite into $root"
	debootstrap --variant=minbase "$suite" "$root" "$from" >&2
fi
connect
mounts
inside 'apt-get -qq update'
inside 'apt-get -qq install -y --no-install-recommends git make python3 >/dev/null'
rm -rf "$root/root/symprobe"
git clone -q --no-hardlinks "$project" "$root/root/symprobe"
if [ $# -gt 0 ]; then
	inside "cd ~/symprobe && $*"
else
	inside 'cd ~/symprobe && make demo'
	inside 'cd ~/symprobe && make test'
fi
