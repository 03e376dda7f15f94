#!/bin/bash
# scripts/oim-cert: what it makes is good for TLS, and what it cannot make it
# refuses with a reason.
# shellcheck disable=SC2016,SC2034,SC2317 # the tests are text for eval

set -u
oim_cert=$(cd "$(dirname "$0")/../.." && pwd)/scripts/oim-cert
command -v openssl >/dev/null || {
	echo 'needs openssl'
	exit 77
}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
number=0 failed=0

# Runs the text; it must succeed.
test_case() {
	number=$((number + 1))
	if (eval "$2") >log 2>&1; then
		echo "ok $number - $1"
	else
		failed=1
		echo "not ok $number - $1"
		sed 's/^/# /' log
	fi
}

# The command must fail with that status and say something like that.
fails_with() {
	local status=$1 text=$2 got=0

	shift 2
	"$@" >out 2>err || got=$?
	cat out err
	[ "$got" -eq "$status" ] && grep -Fq -- "$text" err && [ ! -s out ]
}

verify() {
	openssl verify -CAfile pki/ca.crt "$@"
}

mode_is() {
	[ "$(stat -c %a "$2")" = "$1" ]
}

test_case 'init makes an authority whose key is private' '
	"$oim_cert" init pki &&
	mode_is 600 pki/ca.key &&
	mode_is 644 pki/ca.crt &&
	openssl x509 -in pki/ca.crt -noout -ext basicConstraints |
		grep -q CA:TRUE &&
	verify -crl_check -CRLfile pki/crl.pem pki/ca.crt
'

test_case 'init leaves a directory alone that is not empty' '
	mkdir full && touch full/file &&
	fails_with 1 "full is not empty" "$oim_cert" init full &&
	[ "$(ls full)" = file ]
'

test_case 'a certificate is good for a server and for a client' '
	"$oim_cert" issue pki controller.n1 &&
	verify -purpose sslserver pki/controller.n1.crt &&
	verify -purpose sslclient pki/controller.n1.crt &&
	verify -verify_hostname controller.n1 pki/controller.n1.crt &&
	mode_is 600 pki/controller.n1.key
'

test_case 'the key is of P-256 and belongs to the certificate' '
	openssl pkey -in pki/controller.n1.key -noout -text | grep -q P-256 &&
	openssl pkey -in pki/controller.n1.key -pubout >key &&
	openssl x509 -in pki/controller.n1.crt -noout -pubkey >cert &&
	cmp key cert
'

test_case 'several certificates are issued at once' '
	"$oim_cert" issue pki user.admin component.registry &&
	verify pki/user.admin.crt pki/component.registry.crt
'

test_case 'one certificate has several roles' '
	"$oim_cert" issue pki host.n2,controller.n2 &&
	"$oim_cert" show pki/host.n2.crt >out &&
	grep -q "subject=CN=host.n2" out &&
	grep -q "DNS:host.n2, DNS:controller.n2" out
'

test_case 'a name that is no DNS name is the common name only' '
	"$oim_cert" issue pki "host.café: a+b=c\\d;\"e\"" --out . &&
	"$oim_cert" show host.caf*.crt >out &&
	grep -Fq "subject=CN=host.café: a+b=c\\d;\"e\"" out &&
	! grep -q DNS: out
'

test_case 'a name that is no DNS name shares with one that is' '
	"$oim_cert" issue pki host.n3,controller.café &&
	"$oim_cert" show pki/host.n3.crt >out &&
	grep -q "subject=CN=controller.café" out &&
	grep -q "DNS:host.n3" out
'

test_case 'a name too long for a common name is a DNS name only' '
	name=controller.$(printf "a%.0s" {1..60}) &&
	"$oim_cert" issue pki "$name" &&
	verify -verify_hostname "$name" "pki/$name.crt"
'

test_case 'a name that no certificate can carry is refused' '
	fails_with 1 "more than 64 characters" \
		"$oim_cert" issue pki "host.$(printf "é%.0s" {1..60})" &&
	fails_with 1 "only one of these fits" \
		"$oim_cert" issue pki host.é,controller.é
'

test_case 'a common name only is what --cn-only gives' '
	"$oim_cert" issue --cn-only pki user.plain &&
	"$oim_cert" show pki/user.plain.crt >out &&
	! grep -q DNS: out
'

test_case 'bad names are refused and leave nothing' '
	ls -A pki >before &&
	fails_with 1 "empty name" "$oim_cert" issue pki "" &&
	fails_with 1 "empty name" "$oim_cert" issue pki a,,b &&
	fails_with 1 "contains a slash" "$oim_cert" issue pki x/../y &&
	fails_with 1 "begins with" "$oim_cert" issue pki .x &&
	fails_with 1 "control character" "$oim_cert" issue pki "a
b" &&
	fails_with 1 "not UTF-8" "$oim_cert" issue pki "$(printf "\351")" &&
	ls -A pki >after &&
	cmp before after
'

test_case 'nothing is overwritten' '
	cp pki/user.admin.key key &&
	fails_with 1 "exists" "$oim_cert" issue pki user.admin &&
	fails_with 1 "not empty" "$oim_cert" init pki &&
	cmp pki/user.admin.key key
'

test_case 'a certificate may have expired when it is made' '
	"$oim_cert" issue pki host.old --days 0 &&
	"$oim_cert" issue pki host.older --days -7 &&
	! verify pki/host.old.crt &&
	! verify pki/host.older.crt &&
	verify -no_check_time pki/host.old.crt pki/host.older.crt
'

test_case 'a certificate is valid as long as it is said' '
	"$oim_cert" issue pki host.short --days 3 &&
	openssl x509 -in pki/host.short.crt -noout -checkend 259000 &&
	! openssl x509 -in pki/host.short.crt -noout -checkend 259300
'

test_case 'revoking withdraws all certificates with that name' '
	"$oim_cert" issue pki host.n1,controller.n1 &&
	"$oim_cert" revoke pki controller.n1 &&
	! verify -crl_check -CRLfile pki/crl.pem pki/controller.n1.crt &&
	! verify -crl_check -CRLfile pki/crl.pem pki/host.n1.crt &&
	verify -crl_check -CRLfile pki/crl.pem pki/host.n2.crt
'

test_case 'revoking again changes nothing and succeeds' '
	"$oim_cert" revoke pki controller.n1 &&
	"$oim_cert" show pki/crl.pem >out &&
	[ "$(grep -c "Serial Number" out)" -eq 2 ]
'

test_case 'a name is revoked by all of it' '
	"$oim_cert" revoke pki controller.café &&
	! verify -crl_check -CRLfile pki/crl.pem pki/host.n3.crt &&
	fails_with 1 "no certificate for" "$oim_cert" revoke pki controller
'

test_case 'a certificate that is issued anew is good' '
	rm pki/controller.n1.crt pki/controller.n1.key &&
	"$oim_cert" issue pki controller.n1 &&
	verify -crl_check -CRLfile pki/crl.pem pki/controller.n1.crt
'

test_case 'certificates may be issued at the same time' '
	for i in 1 2 3 4 5 6; do
		"$oim_cert" issue pki "host.p$i" &
	done
	wait
	verify pki/host.p?.crt &&
	[ "$(ls pki/host.p?.key | wc -l)" -eq 6 ]
'

test_case 'odd names of directories do no harm' '
	"$oim_cert" init "a b/\$x" &&
	"$oim_cert" issue "a b/\$x" user.admin &&
	[ -f "a b/\$x/user.admin.key" ]
'

test_case 'what is not an authority or a certificate is told' '
	fails_with 1 "no certificate authority in full" \
		"$oim_cert" issue full user.admin &&
	fails_with 1 "full/file is not a certificate" \
		"$oim_cert" show full/file &&
	fails_with 1 "cannot read full/none" "$oim_cert" show full/none
'

test_case 'wrong usage says so' '
	fails_with 2 "no command" "$oim_cert" &&
	fails_with 2 "unknown command" "$oim_cert" frobnicate &&
	fails_with 2 "unknown option" "$oim_cert" issue pki x --frob &&
	fails_with 2 "needs a value" "$oim_cert" issue pki x --days &&
	fails_with 2 "bad number of days" \
		"$oim_cert" issue pki x --days 1d &&
	fails_with 2 "needs a directory and a name" "$oim_cert" issue pki &&
	fails_with 2 "needs one directory" "$oim_cert" init
'

test_case 'help fits a screen' '
	"$oim_cert" --help >out &&
	[ "$(wc -l <out)" -le 30 ] &&
	[ "$(wc -L <out)" -le 80 ]
'

echo "1..$number"
exit $failed
