/* Typed values of the configuration. */

#include "proto/lib/conf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/lib/units.h"

/* Puts the origin and the key before an error that is set. */
static int wrap(const struct conf *c, const char *section, const char *name,
		const char *key, struct err *err)
{
	return err_wrap(err, "%s: %s%s%s.%s",
			conf_origin(c, section, name, key), section,
			name ? "." : "", name ? name : "", key);
}

int conf_get_bool(const struct conf *c, const char *section, const char *name,
		  const char *key, bool *value, struct err *err)
{
	static const char *const words[] = {"no",    "yes",  "off", "on",
					    "false", "true", "0",   "1"};
	const char *s = conf_get(c, section, name, key);

	if (!s)
		return 0;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcasecmp(s, words[i])) {
			*value = i % 2;
			return 0;
		}
	err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
		"\"%s\" is neither yes nor no", s);
	return wrap(c, section, name, key, err);
}

int conf_get_size(const struct conf *c, const char *section, const char *name,
		  const char *key, uint64_t *bytes, struct err *err)
{
	const char *s = conf_get(c, section, name, key);

	if (s && units_parse_size(s, bytes, err) < 0)
		return wrap(c, section, name, key, err);
	return 0;
}

int conf_get_duration(const struct conf *c, const char *section,
		      const char *name, const char *key, int64_t *ns,
		      struct err *err)
{
	const char *s = conf_get(c, section, name, key);

	if (s && units_parse_duration(s, ns, err) < 0)
		return wrap(c, section, name, key, err);
	return 0;
}

int conf_get_number(const struct conf *c, const char *section, const char *name,
		    const char *key, uint64_t min, uint64_t max,
		    uint64_t *value, struct err *err)
{
	const char *s = conf_get(c, section, name, key);
	unsigned long long number;

	if (!s)
		return 0;
	errno = 0;
	number = strtoull(s, NULL, 10);
	if (s[strspn(s, "0123456789")] || errno || number < min ||
	    number > max) {
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			"\"%s\" is not a number from %" PRIu64 " to %" PRIu64,
			s, min, max);
		return wrap(c, section, name, key, err);
	}
	*value = number;
	return 0;
}
