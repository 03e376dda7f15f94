#!/bin/bash
# Completion: what oimctl offers, and bash with the installed script.
# shellcheck disable=SC2016,SC2154 # the tests are text for eval
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
start_oimd a --set controller.n1.plane=null || exit 1
oimctl provision d0 1M && oimctl provision d1 1M && oimctl provision 'a b' 1M &&
	oimctl map d1 >/dev/null && oimctl set n1/pci 0:0 || exit 1

# offers ANSWERS WORD...: separated by blanks, in any order, and nothing else.
offers() {
	local answers=$1

	shift
	oimctl complete -- "$@" >out 2>err || return 1
	sort -u out | paste -sd ' ' >line
	echo "$*: $(cat line)"
	[ "$(cat line)" = "$answers" ] && [ ! -s err ]
}

test_case 'commands are offered, and nouns of a verb' '
	offers "set shell show status" s &&
	offers "bdevs controllers mappings" list "" &&
	offers "bdevs controllers mappings" ls "" &&
	offers "show" config "" && offers "bash" completion "" &&
	offers "bdev controller mapping" help show ""
'

test_case 'what is hidden is not offered' '
	oimctl complete -- "" >out && ! grep -qx complete out &&
	oimctl help >out && ! grep -q "^ *complete " out
'

test_case 'options are offered, with those of the command' '
	offers "--cacert --ceph --cert --color --columns --config --context --controller" \
		map --c &&
	offers "--plaintext" list bdevs --pl && offers "" list bdevs -- --pl
'

test_case 'values of options are offered' '
	offers "json" -o j && offers "--output=json" --output=j &&
	offers "json" list bdevs --output j &&
	offers "never" --color n && offers "n1" list bdevs -C "" &&
	offers "name" list bdevs --columns n && offers "size" list bdevs --sort s &&
	offers "auto v0 values" --dialect ""
'

test_case 'values of arguments are live' '
	offers "d0 d1" map d && offers "d1" unmap "" &&
	offers "d1" show mapping "" && offers "n1" show controller "" &&
	offers "n1" unregister "" && offers "n1/address n1/pci" get n1 &&
	offers "a b d0 d1" check "" && offers "d1" check d0 d &&
	offers "" set n1/pci "" && offers "" map d0 ""
'

test_case 'states and kinds are offered' '
	offers "bdev controller mapping" wait "" &&
	offers "absent attached mapped present" wait mapping d1 --for "" &&
	offers "ready registered" wait controller --for re &&
	offers "d0 d1" wait bdev d &&
	offers "volume volume.mapped volume.unmapped" events --kind vo &&
	offers "--watch" list bdevs --w
'

test_case 'methods, services and contexts are offered' '
	offers "oim.v0.Registry/GetControllers oim.v0.Registry/GetValues" \
		call oim.v0.Registry/G &&
	offers "oim.v0.Controller oim.v0.Registry" methods oim.v0 &&
	printf "[context \"lab\"]\n[context \"live\"]\nserver = x:1\n" >conf &&
	offers "lab live" --config conf -c l
'

test_case 'files are offered where a file is meant' '
	mkdir folder && : >folder/file && : >first &&
	offers "first folder/" run f && offers "folder/file" run folder/f &&
	offers "--cacert=first --cacert=folder/" --cacert=f
'

test_case 'options in front of the words count too' '
	unset OIMCTL_SERVER && oimctl -s "$addr_a" complete -- show mapping "" \
		>out && [ "$(cat out)" = d1 ] &&
	oimctl complete -- -s "$addr_a" show mapping "" >out &&
	[ "$(cat out)" = d1 ]
'

test_case 'nothing is said, and nothing fails, without a server' '
	OIMCTL_SERVER=$dir/none.sock offers "" map "" &&
	OIMCTL_SERVER=nonsense offers "" map "" &&
	OIMCTL_TIMEOUT=nonsense offers "" map "" &&
	offers "" nonsense "" && offers "" list nonsense "" &&
	offers "" --nonsense x --nonsense=y map -- --x &&
	oimctl complete && oimctl complete -- map --output
'

test_case 'it takes a quarter of a second at most' '
	case $B in *-*) limit=2000 ;; *) limit=450 ;; esac # sanitizers
	/usr/bin/python3 -c "
import socket, time
s = socket.socket(socket.AF_UNIX); s.bind(\"mute.sock\"); s.listen(9)
print(\"ready\", flush=True); time.sleep(20)" >mute.log &
	mute=$!
	wait_for 10 grep -q ready mute.log
	start=$(date +%s%N)
	OIMCTL_SERVER=$dir/mute.sock offers "" map "" || exit 1
	took=$((($(date +%s%N) - start) / 1000000))
	kill $mute
	echo "$took ms" && [ $took -lt $limit ]
'

test_case 'five hundred answers are enough' '
	for n in {1..600}; do echo "set m$n/x 1"; done >file && oimctl run file &&
	oimctl complete -- get "" >out && [ "$(wc -l <out)" = 500 ]
'

# --- bash

test_case 'the script that is printed is the one that is installed' '
	oimctl completion bash >out && cmp out "$root/completions/oimctl" &&
	fails_with 2 oimctl completion fish
'

test_case 'the script is clean' '
	shellcheck -V >/dev/null 2>&1 || skip "needs shellcheck"
	shellcheck -s bash "$root/completions/oimctl"
'

# in_bash LINE: what bash would be given for the end of that line.
in_bash() {
	bash --norc -c '
		. "$1/completions/oimctl"
		[ ! -r /usr/share/bash-completion/bash_completion ] ||
			. /usr/share/bash-completion/bash_completion
		COMP_LINE=$2 COMP_POINT=${#2}
		# As readline cuts it.
		mapfile -t COMP_WORDS < <(grep -oE "[:=]+|[^[:space:]:=]+" <<<"$2")
		[[ $2 != *" " ]] || COMP_WORDS+=("")
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		_oimctl oimctl
		[ ${#COMPREPLY[@]} = 0 ] || printf "%s\n" "${COMPREPLY[@]}"
	' bash "$root" "$1" 2>/dev/null
}

test_case 'bash gets the answers' '
	in_bash "oimctl sta" >out && [ "$(cat out)" = status ] &&
	in_bash "oimctl -o json map d" >out &&
	[ "$(paste -sd " " out)" = "d0 d1" ]
'

test_case 'behind "=" only the rest is given, and blanks are quoted' '
	in_bash "oimctl --output=js" >out && [ "$(cat out)" = json ] &&
	in_bash "oimctl map a" >out && [ "$(cat out)" = "a\\ b" ]
'

test_case 'the tab key works in bash' '
	expect -v >/dev/null 2>&1 || skip "needs expect"
	cat >tab.exp <<-"END" && expect tab.exp >screen || { cat screen; exit 1; }
		set timeout 20
		set env(TERM) dumb
		spawn -noecho bash --norc -i
		send "PS1=READY; eval \"\$(oimctl completion bash)\"\r"
		expect -ex "READY" {} timeout { exit 99 }
		send "oimctl sta\t--no-headers -o val\thost\r"
		expect {
			-ex "oimctl status --no-headers -o value=/host" {}
			timeout { exit 98 }
		}
		send "exit\r"
		expect eof
	END
'
