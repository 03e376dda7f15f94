#!/bin/bash
# The shell, on a terminal.
# shellcheck disable=SC2016,SC2034,SC2154 # the tests are text for eval
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires expect -v
start_oimd a --set controller.n1.plane=null || exit 1
oimctl provision d0 64M && oimctl provision d1 1M || exit 1
printf '[context "lab"]\nserver = %s\ncontroller = n1\n' "$addr_a" >conf

# Helpers for scripts: a shell is there, and its prompt is awaited.
cat >shell.exp <<'END'
set timeout 20
set env(TERM) xterm
set stty_init "columns 80 rows 24"
proc await {text} {
	expect {
		-ex $text {}
		timeout { puts "\nno \"$text\""; exit 99 }
		eof { puts "\nended before \"$text\""; exit 98 }
	}
}
proc enter {line} { send -- "$line\r" }
proc leave {} {
	expect {
		eof {}
		timeout { puts "\nit does not end"; exit 97 }
	}
	exit [lindex [wait] 3]
}
spawn -noecho oimctl --config conf shell
await "oim(-/-)> "
END

# shell: runs the Tcl of stdin, behind shell.exp; shows the screen if it fails.
shell() {
	cat shell.exp - >script.exp
	on_screen script.exp
}

on_screen() {
	expect "$1" >screen 2>&1 && return
	cat screen
	return 1
}

test_case 'commands run, and Ctrl-D ends it' '
	shell <<-"END"
		enter "check d0"
		await "d0    ok"
		await "oim(-/-)> "
		send \004
		leave
	END
'

test_case 'quit and exit end it' '
	echo "enter quit; leave" | shell && echo "enter exit; leave" | shell
'

test_case 'a failure does not end it' '
	shell <<-"END"
		enter "check nothing"
		await "(NOT_FOUND)"
		await "> "
		enter lisst
		await "did you mean"
		enter quit
		leave
	END
'

test_case 'an unclosed quote is an error' '
	shell <<-"END"
		enter {check "d0}
		await "is not closed"
		await "oim(-/-)> "
		enter quit
		leave
	END
'

test_case 'a backslash continues a line' '
	shell <<-"END"
		enter "check \\"
		await "> "
		enter d0
		await "d0    ok"
		enter quit
		leave
	END
'

test_case 'use and on show in the prompt' '
	shell <<-"END"
		enter "on n1"
		await "oim(-/n1)> "
		enter "use lab"
		await "oim(lab/n1)> "
		enter use
		await "oim(-/-)> "
		enter "use nothing"
		await "there is no context"
		await "oim(-/-)> "
		enter quit
		leave
	END
'

test_case 'set changes options for the commands that follow' '
	shell <<-"END"
		enter "set output name"
		await "> "
		enter "list bdevs --sort -size"
		await "d0\r\nd1\r\n"
		enter quit
		leave
	END
'

test_case 'the tab key completes commands, options and live values' '
	shell <<-"END"
		send "prov\t"
		await "provision "
		send "\025show b\t"
		await "show bdev "
		send "d\t\t"
		await "d0  d1"
		send "1 --out\t"
		await "--output "
		send "js\t\r"
		await {"size": "1048576"}
		enter quit
		leave
	END
'

test_case 'Ctrl-C ends what waits, watches and follows, and keeps the shell' '
	shell <<-"END"
		foreach {line text} {
			"events -f --since 1h"         "bdev.provisioned"
			"list bdevs -w"                "CONTROLLER"
			"wait bdev no --for present --trace" "ListBDevs"
		} {
			enter $line
			await $text
			send \003
			await "nterrupted"
			await "oim(-/-)> "
		}
		enter "check d0"
		await "d0    ok"
		enter quit
		leave
	END
'

test_case 'Ctrl-C drops the line that is typed' '
	shell <<-"END"
		send "check no"
		await "check no"
		send \003
		await "^C"
		await "oim(-/-)> "
		enter "check d0"
		await "d0    ok"
		enter quit
		leave
	END
'

test_case 'Ctrl-C ends a call and keeps the shell' '
	shell <<-"END"
		enter "call grpc.health.v1.Health/Watch"
		await SERVING
		send \003
		await interrupted
		await "oim(-/-)> "
		enter "check d0"
		await "d0    ok"
		enter quit
		leave
	END
'

test_case 'Ctrl-C ends a question, and nothing is done' '
	shell <<-"END"
		enter "provision d0 0"
		await {[y/N] }
		send \003
		await "oim(-/-)> "
		enter "check d0"
		await "d0    ok"
		enter quit
		leave
	END
'

test_case 'Ctrl-Z stops it, and it goes on as it was' '
	sed "s/^spawn .*/spawn -noecho bash --norc -i/;
		s/^await .*/enter \"PS1=READY; oimctl --config conf shell\"\nawait oim(/" \
		shell.exp >stop.exp &&
	cat >>stop.exp <<-"END" && on_screen stop.exp
		await "> "
		send "check d"
		await "check d"
		send \032
		await Stopped
		await READY
		enter fg
		await "check d"
		enter 0
		await "d0    ok"
		send \003
		await "^C"
		enter quit
		enter exit
		leave
	END
'

test_case 'the history outlives the shell, for its owner only' '
	rm -rf state
	shell <<-"END" &&
		enter "check d0"
		await "> "
		enter "check d0"
		await "> "
		enter " check d1"
		await "> "
		enter history
		await "1  check d0"
		await "2  history"
		enter quit
		leave
	END
	[ "$(stat -c %a state/oim state/oim/history | paste -sd " ")" = "700 600" ] &&
	printf "check d0\nhistory\nquit\n" | cmp - state/oim/history &&
	shell <<-"END"
		send "\033\[A\033\[A\033\[A\r"
		await "d0    ok"
		enter quit
		leave
	END
'

cat >secrets <<'END'
call oim.v0.Controller/MapVolume '{"volumeId":"v","ceph":{"secret":"CANARY"}}'
call oim.v0.Controller/MapVolume '{"ceph":{"secret":"CANARY"}'
cal oim.v0.Controller/MapVolume '{"ceph":{"secret":"CANARY"}}'
call -x oim.v0.Controller/MapVolume '{"ceph":{"secret":"CANARY"}}'
call oim.v0.Controller/MapVolume '{"ceph":{"secret":"CANARY"}}
call oim.v0.Controler/MapVolume '{"ceph":{"secret":"CANARY"}}'
call oim.v0.Controller/MapVolume '{"volumeId":"d0","malloc":{}}'
END

test_case 'no secret gets into the history' '
	rm -rf state
	shell <<-"END" &&
		foreach line [split [exec cat secrets] "\n"] {
			enter $line
			await "> "
		}
		enter quit
		leave
	END
	! grep CANARY state/oim/history && grep -q malloc state/oim/history
'

test_case 'a server that comes back is found again' '
	start_oimd b --set controller.n1.plane=null &&
	sed "s|--config conf|-s $addr_b --config conf|" shell.exp >again.exp &&
	cat >>again.exp <<-"END" &&
		proc step {file} {
			close [open $file.done w]
			while {![file exists $file]} { after 10 }
		}
		enter "list controllers"
		await "yes   null"
		step stopped
		enter "list controllers"
		await "UNAVAILABLE"
		step started
		enter "list controllers"
		await "yes   null"
		enter quit
		leave
	END
	{ on_screen again.exp; echo $? >again.status; } &
	wait_for 20 [ -e stopped.done ] && stop_oimd b && : >stopped &&
	wait_for 20 [ -e started.done ] &&
	start_oimd b --set controller.n1.plane=null && : >started &&
	wait_for 20 [ -e again.status ] && [ "$(cat again.status)" = 0 ]
'
