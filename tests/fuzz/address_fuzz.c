/* An address that is accepted is printed so that it means the same again. */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/lib/address.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"
#include "proto/lib/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int parse_fn(const char *s, struct address *a, struct err *err);

static bool is_same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool is_line(const char *s)
{
	return utf8_is_valid(s, strlen(s)) && !utf8_has_control(s, strlen(s));
}

static void check(parse_fn *parse, const char *s)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(address_clear) struct address a = {0};
	CLEANUP(address_clear) struct address b = {0};
	CLEANUP(cleanup_free) char *text = NULL;

	if (parse(s, &a, &err) < 0) {
		assert(err.code == GRPC_STATUS_INVALID_ARGUMENT);
		assert(is_line(err.msg) && strstr(err.msg, "accepted are"));
		return;
	}
	text = address_format(&a);
	assert(is_line(text));
	if (parse(text, &b, &err) < 0)
		abort();
	assert(a.kind == b.kind && a.port == b.port);
	assert(is_same(a.path, b.path) && is_same(a.host, b.host));
	assert(*a.target && *b.target);
	assert(address_is_loopback(&a) == address_is_loopback(&b));
	assert(address_is_unix(s) == (a.kind == ADDRESS_UNIX));
	assert(parse == address_parse_listen || a.kind == ADDRESS_UNIX ||
	       a.port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(cleanup_free) char *s = mem_dup(data, size);

	check(address_parse_listen, s);
	check(address_parse_server, s);
	check(address_parse_controller, s);
	return 0;
}
