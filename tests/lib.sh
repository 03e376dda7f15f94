# shellcheck shell=bash
# Functions for functional tests: real binaries in a private folder.
#
#	. "$(dirname "$0")/../lib.sh"
#	requires jq --version
#	start_oimd a --set controller.n1.plane=null
#
#	test_case 'a bdev that was provisioned is there' '
#		oimctl provision d0 64M &&
#		oimctl check d0
#	'
#
# B names the build folder (default: build). oimctl and oimd are found by PATH.
# The current folder is empty, is HOME, and is removed at the end; what was
# started is stopped, whatever happens. The last line that is printed is
# "# passed N failed M skipped K"; the exit status is 0, 1, or 77 if all was
# skipped.

set -u
export LC_ALL=C.UTF-8
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
B=$(cd "$root" && cd "${B:-build}" && pwd) || exit 1
export B root PATH="$B:$PATH"
export LSAN_OPTIONS="suppressions=$root/tests/lsan.supp:print_suppressions=0"
if [ ! -x "$B/oimd" ] || [ ! -x "$B/oimctl" ]; then
	echo "Bail out! there is no oimd and oimctl in $B"
	exit 1
fi

dir=$(mktemp -d "${TMPDIR:-/tmp}/oim-test.XXXXXX") || exit 1
cd "$dir" || exit 1
mkfifo .never
mkdir run && chmod 700 run
export HOME=$dir XDG_RUNTIME_DIR=$dir/run XDG_CONFIG_HOME=$dir/config \
	XDG_STATE_HOME=$dir/state
unset "${!OIMCTL_@}" NO_COLOR XDG_DATA_HOME
number=0 passed=0 failed=0 skipped=0

# --- waiting and failing

# pause SECONDS: between two looks; nobody ever writes into that pipe.
pause() {
	read -rt "$1" <>"$dir/.never" || :
}

# wait_for SECONDS COMMAND...: until the command succeeds; fails if it does not.
wait_for() {
	local end=$(($(date +%s%N) / 1000000 + $1 * 1000))

	shift
	until "$@"; do
		[ "$(($(date +%s%N) / 1000000))" -lt "$end" ] || return 1
		pause 0.02
	done
}

# fails_with STATUS COMMAND...: the command must end with that status.
fails_with() {
	local want=$1 got=0

	shift
	"$@" || got=$?
	[ "$got" -eq "$want" ] && return 0
	echo "$* ended with $got, expected $want"
	return 1
}

# --- what a test needs

# skip REASON: of a test case, or outside of one of the whole file.
skip() {
	echo "$*" >"$dir/.skipped"
	exit 77
}

# requires COMMAND...: it must succeed, or all is skipped.
requires() {
	"$@" >/dev/null 2>&1 || skip "needs $1"
}

requires_root() {
	[ "$(id -u)" = 0 ] || skip 'needs root'
}

# --- test cases

# test_case CLAIM COMMANDS: joined by &&, run in a subshell; the claim holds if
# they succeed. Their output is shown only if they do not.
test_case() {
	local status=0

	number=$((number + 1))
	rm -f "$dir/.skipped"
	(
		set -e
		eval "$2"
	) >"$dir/.log" 2>&1
	status=$?
	if [ "$status" = 0 ]; then
		passed=$((passed + 1))
		echo "ok $number - $1"
	elif [ "$status" = 77 ] && [ -e "$dir/.skipped" ]; then
		skipped=$((skipped + 1))
		echo "ok $number - $1 # SKIP $(cat "$dir/.skipped")"
	else
		failed=$((failed + 1))
		echo "not ok $number - $1"
		sed 's/^/# /' "$dir/.log"
	fi
}

# --- servers

# start_server NAME COUNT PATTERN COMMAND...: in the background; succeeds when
# its output has that many lines that begin with the pattern, fails if it ends
# before. Output is in NAME.out and NAME.err.
start_server() {
	local name=$1 count=$2 pattern=$3

	shift 3
	rm -f "$dir/$name.status"
	: >"$dir/$name.out"
	{
		set +e
		"$@" >"$dir/$name.out" 2>>"$dir/$name.err" &
		echo $! >"$dir/$name.pid"
		wait $!
		echo $? >"$dir/$name.status"
	} 2>/dev/null &
	wait_for 20 _has_started "$name" "$count" "$pattern" &&
		[ ! -e "$dir/$name.status" ] && return 0
	cat "$dir/$name.err"
	return 1
}

# Whether it has started, or has ended.
_has_started() {
	[ -e "$dir/$1.status" ] ||
		[ "$(grep -c "^$3" "$dir/$1.out")" -ge "$2" ]
}

# start_oimd [NAME] [ARGUMENT...]: without daemon.listen among them it listens
# on NAME.sock. Its folders are NAME.state and NAME.run, so that it finds its
# data when it is started again. Sets addr_NAME, and of further listeners
# addr_NAME_2 and so on; the first daemon's is exported as OIMCTL_SERVER.
start_oimd() {
	local name=oimd
	local -a listen

	case ${1:---} in
	--*) ;;
	*) name=$1 && shift ;;
	esac
	mapfile -t listen < <(printf '%s\n' "$@" | grep '^daemon\.listen=')
	[ ${#listen[@]} -gt 0 ] || {
		listen=("daemon.listen=$dir/$name.sock")
		set -- "$@" --set "${listen[0]}"
	}
	start_server "$name" ${#listen[@]} 'listening on ' \
		"$B/oimd" --config /dev/null \
		--set "daemon.run-dir=$dir/$name.run" \
		--set "daemon.state-dir=$dir/$name.state" "$@" &&
		_take_addresses "$name"
}

_take_addresses() {
	local address suffix='' n=1

	while read -r address; do
		printf -v "addr_$1$suffix" %s "$address"
		n=$((n + 1))
		suffix=_$n
	done < <(sed -n 's/^listening on //p' "$dir/$1.out")
	address=addr_$1
	export OIMCTL_SERVER="${OIMCTL_SERVER:-${!address}}"
}

_end() {
	[ ! -e "$dir/$1.status" ] || return 0
	kill "-$2" "$(cat "$dir/$1.pid")" &&
		wait_for 20 [ -e "$dir/$1.status" ]
}

# stop_oimd [NAME]: as systemd would; fails unless it ends with success.
stop_oimd() {
	_end "${1:-oimd}" TERM && [ "$(cat "$dir/${1:-oimd}.status")" = 0 ]
}

# kill_oimd [NAME]: at once and without warning.
kill_oimd() {
	_end "${1:-oimd}" KILL
}

# pid_of [NAME]: of a server that was started.
pid_of() {
	cat "$dir/${1:-oimd}.pid"
}

# --- the end

# at_end: a function of that name, if a test has one, is called before the
# servers are stopped.
_finish() {
	local status=$? pid

	trap '' EXIT INT TERM
	! declare -F at_end >/dev/null || at_end
	for pid in "$dir"/*.pid; do
		[ -e "$pid" ] && [ ! -e "${pid%.pid}.status" ] &&
			_end "$(basename "$pid" .pid)" TERM
	done
	if [ "$status" = 77 ] && [ -e "$dir/.skipped" ]; then
		skipped=$((skipped + 1))
		echo "1..0 # SKIP $(cat "$dir/.skipped")"
	elif [ "$status" != 0 ]; then
		failed=$((failed + 1))
		status=1
		echo "not ok $((number + 1)) - the test file itself failed"
	fi
	[ "$failed" = 0 ] || status=1
	rm -rf "$dir"
	echo "# passed $passed failed $failed skipped $skipped"
	exit "$status"
}

trap _finish EXIT
trap 'exit 130' INT TERM
