/* Ids, and the names of files that stand for them. */

#include "proto/lib/id.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/sha.h>

#include "proto/lib/utf8.h"

int id_check(const char *id, const char *what, struct err *err)
{
	size_t size = strlen(id);

	if (!size)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT, "empty %s",
			       what);
	if (size > ID_MAX)
		return err_set(
			err, GRPC_STATUS_INVALID_ARGUMENT,
			"%s of %zu bytes is too long, at most %d are allowed",
			what, size, ID_MAX);
	if (!utf8_is_valid(id, size))
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "%s is not UTF-8", what);
	if (utf8_has_control(id, size))
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "%s contains a control character", what);
	if (strchr(id, '/'))
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "%s \"%s\" contains a slash", what, id);
	return 0;
}

static bool is_plain(const char *id, size_t size)
{
	return size && size <= 64 && *id != '.' && strncmp(id, "h-", 2) != 0 &&
	       strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			  "abcdefghijklmnopqrstuvwxyz0123456789._-") == size;
}

char *id_file_name(const char *id, char name[ID_FILE_NAME_SIZE])
{
	unsigned char sum[SHA256_DIGEST_LENGTH];
	size_t size = strlen(id);

	if (is_plain(id, size)) {
		memcpy(name, id, size + 1);
		return name;
	}
	SHA256((const unsigned char *)id, size, sum);
	memcpy(name, "h-", 2);
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(name + 2 + 2 * i, 3, "%02x", sum[i]);
	return name;
}

int id_random(char *text, size_t size)
{
	unsigned char bytes[32];
	size_t n = (size - 1) / 2;

	*text = '\0';
	if (getrandom(bytes, n, 0) != (ssize_t)n)
		return -1;
	for (size_t i = 0; i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}
