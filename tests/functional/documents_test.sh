#!/bin/bash
# What README.md and the manual pages tell people to type works: each of their
# examples is run as it stands, in namespaces of its own where the default
# places are empty, fixed ports are free and the example hosts are this one.
# shellcheck disable=SC2016

if [ "${1:-}" != inside ]; then
	if [ "$(id -u)" != 0 ] || [ ! -e /dev/loop-control ]; then
		echo 'needs root and loop devices'
		exit 77
	fi
	exec unshare --mount --net --uts "$0" inside
fi

# Nothing is in /tmp, unless we are there ourselves (-c: not what the link says).
root=$(realpath "$(dirname "$0")/../..")
exec {here}<"$root"
mount -t tmpfs none /tmp
[ -d "$root" ] || {
	mkdir -p "$root"
	mount -c --bind "/proc/$$/fd/$here" "$root"
}
cd "$root" || exit 1
# shellcheck source=tests/lib.sh
. tests/lib.sh

hostname documents-test
ip link set lo up
made=()
for place in /run/oim /var/lib/oim /etc/oim; do
	[ -d "$place" ] || {
		mkdir -p "$place"
		made+=("$place")
	}
	mount -t tmpfs none "$place"
done
mount -t tmpfs none /dev/shm
cp /etc/hosts hosts
echo '127.0.0.1 registry.example.com node-7.example.com' >>hosts
mount --bind hosts /etc/hosts
tidy() {
	stop_typed
	for place in /run/oim /var/lib/oim /etc/oim; do
		umount "$place"
	done
	[ ${#made[@]} = 0 ] || rmdir "${made[@]}"
}
trap 'tidy; _finish' EXIT

# examples FILE SECTION: what a section tells to type, each block in a file.
examples() {
	rm -f block-*
	case $1 in
	*.md) awk -v section="## $2" '
		/^## / { inside = $0 == section }
		/^```$/ { block = "" }
		block { print > block }
		inside && /^```sh$/ { block = "block-" ++n }' "$1" ;;
	*) awk '
		/^\.Sh / { inside = $2 == "EXAMPLES" }
		/^\.Ed/ { block = "" }
		block { print > block }
		inside && /^\.Bd/ { block = "block-" ++n }' "$1" |
		cat && sed -i 's/^\$ //; s/\\e$/\\/; s/\\-/-/g' block-* ;;
	esac
	[ -e block-1 ]
}

# type_in FILE...: runs blocks as a person would: who starts a daemon waits for
# it before the next command.
type_in() {
	cat >preamble <<-'PREAMBLE'
		set -e
		oimd() {
			command oimd "$@" >>"$dir/typed.log" 2>&1
		}
		oimctl() {
			local status=78 n=0
			while [ $status = 78 ] && [ $((n++)) -lt 100 ]; do
				status=0
				command oimctl "$@" 2>"$dir/typed.err" || status=$?
				[ $status != 78 ] || sleep 0.05
			done
			cat "$dir/typed.err" >&2
			return $status
		}
		systemctl() {
			[ "$1 $2" = "enable --now" ]
			shift 2
			for unit; do
				[ -e "$package/usr/lib/systemd/system/$unit" ]
			done
		}
	PREAMBLE
	unset OIMCTL_SERVER
	export dir package=/tmp/oim-package
	cat preamble "$@" >typed && bash typed
}

stop_typed() {
	pkill -TERM -x oimd --ns $$ --nslist uts
	wait_for 20 has_stopped
}

has_stopped() {
	! pgrep -x oimd --ns $$ --nslist uts >/dev/null
}

# in_background NAME COMMAND...: a daemon; waits until it listens.
in_background() {
	local name=$1

	shift
	"$@" >"$dir/$name.out" 2>"$dir/$name.err" &
	wait_for 10 grep -q '^listening' "$dir/$name.out" || {
		cat "$dir/$name.err"
		return 1
	}
}

test_case 'README: the quickstart runs' '
	examples "$root/README.md" "Try it"
	grep -qx scripts/quickstart block-1
	cd "$root"
	bash "$dir/block-1"
'

test_case 'README: the other command is what CI runs' '
	examples "$root/README.md" "Try it"
	grep -qx scripts/check block-2
	grep -q scripts/check "$root/.ci/run"
	[ -x "$root/scripts/check" ]
'

test_case 'README: the demo shows its controller' '
	examples "$root/README.md" "Try it"
	sed -i "s#build/##" block-3
	type_in block-3 >out
	grep -q "^demo *null" out
	stop_typed
'

test_case 'README: what is installed is complete' '
	examples "$root/README.md" Install
	cd "$root"
	bash -e "$dir/block-1" >"$dir/log"
	cd /tmp/oim-package
	usr/sbin/oimd --version
	usr/bin/oimctl version --client
	usr/sbin/oimd --check-config --config etc/oim/oimd.conf
	usr/sbin/oimd --check-config --config etc/oim/node.conf
	if grep -r "@[a-z]*dir@" usr/lib etc; then exit 1; fi
	for page in man1/oimctl.1 man5/oimd.conf.5 man8/oimd.8; do
		[ -s usr/share/man/$page ]
	done
	bash -n usr/share/bash-completion/completions/oimctl
'

test_case 'installed, the registry and the node work together' '
	PATH=/tmp/oim-package/usr/sbin:/tmp/oim-package/usr/bin:$PATH
	mkdir -p /var/lib/oim/registry /var/lib/oim/node
	in_background r oimd --config /tmp/oim-package/etc/oim/oimd.conf
	in_background n oimd --config /tmp/oim-package/etc/oim/node.conf
	export OIMCTL_SERVER=/run/oim/registry.sock
	wait_for 10 oimctl -C documents-test provision d0 4M
	oimctl -C documents-test check d0
	oimctl -C documents-test map d0
	oimctl -C documents-test unmap d0
	oimctl -C documents-test provision d0 0 --yes
	stop_typed
'

test_case 'README: services and first disk' '
	examples "$root/README.md" Install
	mv block-2 services
	examples "$root/README.md" "First disk"
	in_background d oimd
	type_in services block-1
	stop_typed
'

test_case 'README: the configuration is printed' '
	examples "$root/README.md" Configure
	type_in block-1
	grep -q "^listen = unix:/run/oim/oimd.sock" typed.log
'

test_case 'README: what happens, and a copy of the registry' '
	examples "$root/README.md" "See what happens"
	in_background d oimd
	type_in block-1
	examples "$root/README.md" "Move and keep"
	type_in block-1
	[ -s registry.json ]
	stop_typed
'

test_case 'README: TLS with certificates of oim-cert' '
	examples "$root/README.md" TLS
	PATH=$root/scripts:$PATH
	type_in block-1 >out
	grep -q CONTROLLER out
	stop_typed
'

test_case 'oimd(8): a first disk' '
	examples "$root/man/oimd.8"
	type_in block-1
	unset OIMCTL_SERVER
	oimctl unmap d0
	oimctl provision d0 0 --yes
	stop_typed
'

test_case 'oimd(8): a registry with certificates' '
	rm -rf pki
	"$root/scripts/oim-cert" init pki
	"$root/scripts/oim-cert" issue pki component.registry user.admin
	examples "$root/man/oimd.8"
	sed -i "\$s/\$/ \&/" block-2
	echo oimctl -s localhost:8999 --cacert pki/ca.crt --cert \
		pki/user.admin.crt --key pki/user.admin.key \
		list controllers >>block-2
	type_in block-2
	stop_typed
'

test_case 'oimd(8): a copy of the registry' '
	in_background d oimd
	examples "$root/man/oimd.8"
	type_in block-3
	grep -q written typed.log
	stop_typed
'

test_case 'oim-cert(8): a registry, an administrator and a host' '
	rm -rf pki
	examples "$root/man/oim-cert.8"
	PATH=$root/scripts:$PATH
	type_in block-1
	for name in component.registry user.admin host.n1,controller.n1; do
		[ -s pki/${name%%,*}.crt ] || [ -s "pki/$name.crt" ]
	done
'

test_case 'oimd.conf(5): a host that registers elsewhere, and oimctl(1)' '
	rm -rf pki
	"$root/scripts/oim-cert" init pki
	"$root/scripts/oim-cert" issue pki component.registry user.admin \
		controller.node-7
	cp pki/*.crt pki/*.key .
	cp pki/*.crt pki/*.key /etc/oim
	in_background r oimd --set controller.enabled=no \
		--set daemon.listen=:8999 --set tls.ca=ca.crt \
		--set tls.cert=component.registry.crt \
		--set tls.key=component.registry.key \
		--set daemon.state-dir=/var/lib/oim/r
	examples "$root/man/oimd.conf.5"
	cp block-1 node.conf
	in_background n oimd --config node.conf
	export OIMCTL_CACERT=ca.crt OIMCTL_CERT=user.admin.crt \
		OIMCTL_KEY=user.admin.key
	remote="oimctl -s registry.example.com:8999 -C node-7"
	wait_for 10 $remote provision vol1 64M
	examples "$root/man/oimctl.1"
	grep -q registry.example block-2
	type_in block-2
	$remote unmap vol1
	$remote provision vol1 0 --yes
	stop_typed
'

test_case 'oimctl(1): a disk in memory, lists, and a dry run' '
	examples "$root/man/oimctl.1"
	in_background d oimd
	type_in block-1 block-3 block-4 block-5
	unset OIMCTL_SERVER
	oimctl provision vol1 0 --yes
	stop_typed
'
