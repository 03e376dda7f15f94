/* Addresses: what we accept is narrower than what gRPC core would take. */

#include "proto/lib/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/utf8.h"

#define PLAIN                                                                  \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

/* What differs between the three kinds of parsing. */
struct rules {
	bool listen;    /* port 0 is fine, and the target is host:port */
	bool any_host;  /* the host may be empty */
	bool shorthand; /* /path and tcp://host:port */
	bool uris;      /* ipv4:, ipv6:, dns:host:port */
	const char *forms;
};

static bool is_ip(int family, const char *host)
{
	unsigned char ip[sizeof(struct in6_addr)];

	return inet_pton(family, host, ip) == 1;
}

static char *host_port(const char *host, uint16_t port)
{
	return mem_printf(strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

/* The path as in a URI: gRPC core decodes it. */
static char *unix_target(const char *path)
{
	char *target = mem_alloc(sizeof("unix:") + 3 * strlen(path));
	char *out = stpcpy(target, "unix:");

	for (; *path; path++)
		if (strchr(PLAIN "/", *path))
			*out++ = *path;
		else
			out += snprintf(out, 4, "%%%02X", (unsigned char)*path);
	*out = '\0';
	return target;
}

/* The functions up to parse_form() return NULL, or why the address is bad. */

static const char *parse_path(const char *s, struct address *a)
{
	if (*s != '/')
		return "a path must begin with /";
	if (strlen(s) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return "the path of a Unix socket has at most 107 bytes";
	a->kind = ADDRESS_UNIX;
	a->path = mem_strdup(s);
	a->target = unix_target(s);
	return NULL;
}

static const char *parse_port(const char *s, const struct rules *rules,
			      struct address *a)
{
	size_t n = strspn(s, "0123456789");
	unsigned long port = strtoul(s, NULL, 10);

	if (!n || n > 5 || s[n] || port > UINT16_MAX)
		return "a port is a number up to 65535";
	if (!port && !rules->listen)
		return "port 0 cannot be reached";
	a->port = (uint16_t)port;
	return NULL;
}

static const char *parse_host(const char *s, const struct rules *rules,
			      struct address *a)
{
	bool brackets = *s == '[';
	const char *colon = strrchr(s, ':');

	if (!colon || (brackets && colon[-1] != ']'))
		return "there is no port";
	a->kind = ADDRESS_TCP;
	if (brackets)
		a->host = mem_dup(s + 1, (size_t)(colon - s) - 2);
	else
		a->host = mem_dup(s, (size_t)(colon - s));
	if (brackets && !is_ip(AF_INET6, a->host))
		return "in brackets there must be an IPv6 address";
	if (!brackets && strchr(a->host, ':'))
		return "an IPv6 address must be in brackets";
	if (!brackets && a->host[strspn(a->host, PLAIN)])
		return "this is no name of a host";
	if (!*a->host && !rules->any_host)
		return "there is no host";
	return parse_port(colon + 1, rules, a);
}

static const char *parse_name(const char *s, const struct rules *rules,
			      struct address *a)
{
	CLEANUP(cleanup_free) char *text = NULL;
	const char *why = parse_host(s, rules, a), *host = a->host;

	if (why)
		return why;
	if (!*host)
		host = rules->listen ? "::" : "localhost";
	text = host_port(host, a->port);
	a->target = mem_printf("%s%s", rules->listen ? "" : "dns:///", text);
	return NULL;
}

static const char *parse_ip(const char *s, int family,
			    const struct rules *rules, struct address *a)
{
	const char *why = parse_host(strchr(s, ':') + 1, rules, a);

	if (!why && !is_ip(family, a->host))
		why = "this is no IP address of that kind";
	if (!why)
		a->target = mem_strdup(s);
	return why;
}

static bool begins(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

static const char *parse_form(const char *s, const struct rules *rules,
			      struct address *a)
{
	if (begins(s, "unix://"))
		return parse_path(s + 7, a);
	if (begins(s, "unix:"))
		return parse_path(s + 5, a);
	if (*s == '/' && rules->shorthand)
		return parse_path(s, a);
	if (begins(s, "dns:///"))
		return parse_name(s + 7, rules, a);
	if (begins(s, "tcp://") && rules->shorthand)
		return parse_name(s + 6, rules, a);
	if (strchr(s, '/') || address_is_unix(s))
		return "this form is not accepted";
	if (begins(s, "ipv4:") && rules->uris)
		return parse_ip(s, AF_INET, rules, a);
	if (begins(s, "ipv6:") && rules->uris)
		return parse_ip(s, AF_INET6, rules, a);
	if (begins(s, "dns:") && rules->uris)
		return parse_name(s + 4, rules, a);
	return parse_name(s, rules, a);
}

static int parse(const char *s, const struct rules *rules, struct address *a,
		 struct err *err)
{
	CLEANUP(cleanup_free) char *shown = NULL;
	const char *why = "this is no text";

	*a = (struct address){0};
	if (utf8_is_valid(s, strlen(s)) && !utf8_has_control(s, strlen(s)))
		why = parse_form(s, rules, a);
	if (!why)
		return 0;
	address_clear(a);
	shown = utf8_printable(s, strlen(s));
	return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
		       "address \"%s\": %s; accepted are %s", shown, why,
		       rules->forms);
}

int address_parse_listen(const char *s, struct address *a, struct err *err)
{
	static const struct rules rules = {
		.listen = true,
		.any_host = true,
		.shorthand = true,
		.forms = "unix:/path, unix:///path, /path, host:port, "
			 "dns:///host:port, tcp://host:port",
	};

	return parse(s, &rules, a, err);
}

int address_parse_server(const char *s, struct address *a, struct err *err)
{
	static const struct rules rules = {
		.any_host = true,
		.shorthand = true,
		.uris = true,
		.forms = "unix:/path, unix:///path, /path, host:port, "
			 "dns:///host:port, dns:host:port, tcp://host:port, "
			 "ipv4:ip:port, ipv6:[ip]:port",
	};

	return parse(s, &rules, a, err);
}

int address_parse_controller(const char *s, struct address *a, struct err *err)
{
	static const struct rules rules = {
		.uris = true,
		.forms = "unix:/path, unix:///path, host:port, "
			 "dns:///host:port, dns:host:port, ipv4:ip:port, "
			 "ipv6:[ip]:port",
	};

	return parse(s, &rules, a, err);
}

bool address_is_loopback(const struct address *a)
{
	struct in6_addr six;
	struct in_addr four;

	if (a->kind == ADDRESS_UNIX || !strcasecmp(a->host, "localhost"))
		return true;
	if (inet_pton(AF_INET6, a->host, &six) == 1)
		return IN6_IS_ADDR_LOOPBACK(&six);
	return inet_pton(AF_INET, a->host, &four) == 1 &&
	       ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
}

bool address_is_unix(const char *s)
{
	s += strspn(s, " \t\r\n");
	return *s == '/' || !strncasecmp(s, "unix:", 5) ||
	       !strncasecmp(s, "unix-abstract:", 14);
}

/* Whether "host:1" would be taken for a URI. */
static bool is_scheme(const char *host)
{
	static const char *const schemes[] = {"dns", "ipv4", "ipv6", "unix",
					      "unix-abstract"};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
		if (!strcasecmp(host, schemes[i]))
			return true;
	return false;
}

char *address_format(const struct address *a)
{
	CLEANUP(cleanup_free) char *text = NULL;

	if (a->kind == ADDRESS_UNIX)
		return mem_printf("unix://%s", a->path);
	text = host_port(a->host, a->port);
	if (is_scheme(a->host))
		return mem_printf("dns:///%s", text);
	return STEAL(text);
}

void address_clear(struct address *a)
{
	free(a->path);
	free(a->host);
	free(a->target);
	*a = (struct address){0};
}
