#!/bin/bash
# TCP with mutual TLS, as somebody meets it who sets it up for the first time.
# shellcheck disable=SC2016,SC2154 # the tests are text for eval
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
requires openssl version
requires jq --version

cert() {
	"$root/scripts/oim-cert" "$@" >>cert.log 2>&1
}
cert init pki && cert init other &&
	cert issue pki component.registry user.admin user.joe \
		host.n1,controller.n1 &&
	cert issue pki user.late --days 0 && cert issue other user.admin || exit 1
mkdir old && cert issue pki component.registry --days 0 --out old || exit 1

# files WHO [FOLDER]: the options of somebody's certificate.
files() {
	echo "--cacert pki/ca.crt --cert ${2:-pki}/$1.crt --key ${2:-pki}/$1.key"
}

# tls WHO [FOLDER]: the same for a daemon.
tls() {
	echo "--set tls.ca=pki/ca.crt --set tls.cert=${2:-pki}/$1.crt
		--set tls.key=${2:-pki}/$1.key --set daemon.listen=127.0.0.1:0"
}

# shellcheck disable=SC2046 # options are words
start_oimd reg $(tls component.registry) --set controller.enabled=no || exit 1
# shellcheck disable=SC2046
start_oimd node $(tls host.n1) --set registry.enabled=no \
	--set controller.n1.plane=null --set "controller.n1.registry=$addr_reg" ||
	exit 1

# says TEXT: the error has it.
says() {
	cat err && grep -Fq -- "$1" err
}

test_case 'an administrator reaches controllers through the registry' '
	wait_for 20 oimctl $(files user.admin) get n1/address --must-exist &&
	oimctl $(files user.admin) -C n1 provision d0 1M &&
	oimctl $(files user.admin) -C n1 map d0 -o json >out &&
	jq -e ".controllerId == \"n1\" and .path == \"\"" out &&
	oimctl $(files user.admin) list mappings -o name >out &&
	[ "$(cat out)" = d0 ]
'

test_case 'the host of a controller reaches it, and no other' '
	oimctl $(files host.n1) -C n1 check d0 &&
	oimctl $(files host.n1) list bdevs -o name >out && [ "$(cat out)" = d0 ] &&
	fails_with 71 oimctl $(files host.n1) -C n2 check d0
'

test_case 'another user may read the registry only' '
	oimctl $(files user.joe) list controllers -o name >out &&
	[ "$(cat out)" = n1 ] && oimctl $(files user.joe) get &&
	fails_with 71 oimctl $(files user.joe) -C n1 check d0 2>err &&
	says "user.joe" && fails_with 71 oimctl $(files user.joe) set n1/x 1 &&
	fails_with 4 oimctl $(files user.joe) list bdevs -o json >out &&
	jq -e ".items == [] and .errors[0].code == \"PERMISSION_DENIED\"" out
'

test_case 'the environment can name the files' '
	OIMCTL_CACERT=pki/ca.crt OIMCTL_CERT=pki/user.joe.crt \
		OIMCTL_KEY=pki/user.joe.key oimctl list controllers
'

test_case 'plaintext to a server with TLS says what it expects' '
	fails_with 78 oimctl --plaintext status 2>err && says "expects TLS"
'

test_case 'TLS to a server without it says so' '
	start_oimd plain --set daemon.listen=127.0.0.1:0 \
		--set daemon.plaintext=yes --set controller.enabled=no &&
	fails_with 78 oimctl -s "$addr_plain" $(files user.admin) status 2>err &&
	says "TLS" && oimctl -s "$addr_plain" --plaintext status &&
	stop_oimd plain
'

test_case 'a server of another name is refused, and both names are shown' '
	fails_with 78 oimctl -s "$addr_node" $(files user.admin) status 2>err &&
	says "host.n1" && says "component.registry" && says "hint: --tls-name" &&
	oimctl -s "$addr_node" $(files user.admin) --tls-name controller.n1 \
		status
'

test_case 'an unknown authority is named as the reason' '
	fails_with 78 oimctl --cacert other/ca.crt --cert pki/user.admin.crt \
		--key pki/user.admin.key status 2>err && says "authority"
'

test_case 'a certificate that the server does not take is an error' '
	fails_with 78 oimctl $(files user.admin other) status 2>err &&
	fails_with 78 oimctl $(files user.late) status 2>err &&
	says "expired"
'

test_case 'a server whose certificate has expired is named so' '
	start_oimd late $(tls component.registry old) \
		--set controller.enabled=no &&
	fails_with 78 oimctl -s "$addr_late" $(files user.admin) status 2>err &&
	says "expired" && kill_oimd late
'

test_case 'files that are no good are named' '
	fails_with 1 oimctl --cacert nothing --cert pki/user.joe.crt \
		--key pki/user.joe.key status 2>err && says "nothing" &&
	fails_with 1 oimctl --cacert cert.log --cert pki/user.joe.crt \
		--key pki/user.joe.key status 2>err && says "cert.log" &&
	fails_with 1 oimctl --cacert pki/ca.crt --cert pki/user.joe.crt \
		--key pki/user.admin.key status 2>err &&
	says "pki/user.admin.key: it does not belong to the certificate"
'
