#!/bin/bash
# Manual pages, help and the table of commands say the same.
# shellcheck disable=SC2016,SC2034,SC2154 # the tests are text for eval
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
page=$root/man/oimctl.1
conf=$root/man/oimctl.conf.5

# Commands as help lists them, without their arguments.
oimctl help | sed -E 's/^  ([a-z ]*[a-z]) .*/\1/; s/ [A-Z[].*//; s/ +$//' |
	awk '{ print $1, ($2 ~ /^(controllers?|bdevs?|mappings?|show)$/ ? $2 : "") }' |
	sed 's/ $//' | sort -u >commands

# Options of all commands, as help lists them.
# shellcheck disable=SC2094 # "help options" is no file
{
	oimctl help options
	while read -r command; do
		# shellcheck disable=SC2086 # a command is one or two words
		oimctl $command --help
	done <commands
} | grep -oE '^ +(-., )?--[a-z-]+' | grep -oE -- '--[a-z-]+' | sort -u >options

test_case 'help lists commands and options' '
	grep -qx map commands && grep -qx "list bdevs" commands &&
	grep -qx -- --ceph options && grep -qx -- --output options &&
	[ "$(wc -l <commands)" -gt 25 ] && [ "$(wc -l <options)" -gt 30 ]
'

test_case 'the page has every command, and no other' '
	sed -nE "s/^\.It (Nm )?Cm ([a-z]+)( (controllers?|bdevs?|mappings?|show))?( .*)?$/\2 \4/p" \
		"$page" | sed "s/ *$//" | sort -u >documented &&
	diff commands documented
'

test_case 'the page has every option, and no other' '
	grep -oE "Fl (. , Fl )?\\\\-[a-z-]+" "$page" | grep -oE "\\\\-[a-z-]+" |
		sed "s/^.-/--/" | sort -u >documented && diff options documented
'

test_case 'the page has every letter of an option' '
	{ oimctl help options; oimctl run --help; } |
		sed -nE "s/^ +-(.), --([a-z-]+).*/\1 \2/p" | sort -u >letters &&
	[ "$(wc -l <letters)" -gt 8 ] &&
	while read -r letter name; do
		grep -qF "Fl $letter , Fl \\-$name" "$page" || {
			echo "-$letter, --$name"; exit 1; }
	done <letters
'

test_case 'the page of the configuration has every key, and no other' '
	oimctl config show -o name | grep -vx context | sort >keys &&
	sed -n "/^Both have/,/^\.Sh EXAMPLES/s/^\.It Li //p" "$conf" | sort \
		>documented && diff keys documented
'

test_case 'the configuration of the page is one' '
	sed -n "/^\.Bd -literal/,/^\.Ed/p" "$conf" | sed "1d;\$d" >example &&
	oimctl --config example config show -o json >out 2>err &&
	[ ! -s err ] && grep -q "unix:/run/oim/oimd.sock" out
'

test_case 'the pages are clean' '
	mandoc -T utf8 "$page" >/dev/null 2>&1 || skip "needs mandoc"
	mandoc -T lint -W all "$page" "$conf" >lint 2>&1 || :
	! grep -v "referenced manual not found\|mandoc.db" lint
'

test_case 'the pages have the sections that are expected of them' '
	for section in SYNOPSIS DESCRIPTION ENVIRONMENT FILES "EXIT STATUS" \
		EXAMPLES "SEE ALSO"; do
		grep -qx "\.Sh $section" "$page" || exit 1
	done
'

test_case 'the examples of help and of the pages are commands' '
	start_oimd a --set controller.n1.plane=null &&
	{
		while read -r command; do oimctl $command --help; done <commands
		sed -n "/^\.Sh EXAMPLES/,/^\.Sh SEE/p" "$page"
	} | sed -nE "s/^ *(\\$ )?(disk=\\$\()?(oimctl [a-z-].*)/\3/p" |
		sed -E "/^oimctl (shell|run|map vol2|--server)/d; s/\)$//; s/ <.*//" \
		>examples &&
	[ "$(wc -l <examples)" -gt 20 ] &&
	printf "[context \"lab\"]\nserver = $addr_a\n" >lab &&
	while read -r example; do
		eval "$example --config lab --dry-run" >out 2>&1 || {
			echo "$example"; cat out; exit 1; }
	done <examples
'
