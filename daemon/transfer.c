/* The cluster's state from the store to a file, and back. */

#include "daemon/transfer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host/dir.h"
#include "daemon/host/newfile.h"
#include "daemon/store/store.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

/* Of a document; a hundred times what the largest registry takes. */
#define MAX_SIZE ((size_t)1 << 30)

static bool is_standard(const char *file)
{
	return strcmp(file, "-") == 0;
}

/* --- export --- */

static int print(const char *text, struct err *err)
{
	if (fputs(text, stdout) == EOF || putchar('\n') == EOF ||
	    fflush(stdout) == EOF)
		return err_errno(err, "write to stdout");
	return 0;
}

static int write_file(const char *file, const char *text, struct err *err)
{
	CLEANUP(cleanup_free) char *line = mem_printf("%s\n", text);

	return newfile_write(file, line, strlen(line), err);
}

int transfer_export(const struct config *config, const char *file,
		    struct err *err)
{
	CLEANUP(cleanup_free) char *text = NULL;
	struct store *s =
		config->has_etcd
			? store_etcd_open(&config->etcd, err)
			: store_lmdb_open_read_only(config->store_path, err);

	if (!s)
		return -1;
	text = backup_export(s, err);
	store_close(s);
	if (!text)
		return err_wrap(err, "export store %s",
				config->has_etcd ? "etcd" : config->store_path);
	return is_standard(file) ? print(text, err)
				 : write_file(file, text, err);
}

/* --- import --- */

static char *read_stream(FILE *f, const char *name, size_t *size,
			 struct err *err)
{
	CLEANUP(cleanup_free) char *text = NULL;
	size_t room = 0, n;

	*size = 0;
	do {
		if (*size == room) {
			room = room ? 2 * room : 65536;
			text = mem_realloc(text, room, 1);
		}
		n = fread(text + *size, 1, room - *size, f);
		*size += n;
		if (*size > MAX_SIZE) {
			err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
				"%s is too large", name);
			return NULL;
		}
	} while (n);
	if (ferror(f)) {
		err_errno(err, "read %s", name);
		return NULL;
	}
	return STEAL(text);
}

static char *read_file(const char *file, size_t *size, struct err *err)
{
	CLEANUP(cleanup_file) FILE *f = NULL;

	if (is_standard(file))
		return read_stream(stdin, "stdin", size, err);
	f = fopen(file, "re");
	if (!f) {
		err_errno(err, "open %s", file);
		return NULL;
	}
	return read_stream(f, file, size, err);
}

static struct store *open_store(const struct config *config, struct err *err)
{
	if (config->has_etcd)
		return store_etcd_open(&config->etcd, err);
	if (config->state_dir && dir_make(config->state_dir, 0700, err) == -1)
		return NULL;
	return store_lmdb_open(config->store_path, err);
}

int transfer_import(const struct config *config, const char *file, bool force,
		    struct backup_result *result, struct err *err)
{
	size_t size;
	CLEANUP(cleanup_free) char *text = read_file(file, &size, err);
	struct store *s = text ? open_store(config, err) : NULL;
	int rc;

	if (!s)
		return -1;
	rc = backup_import(s, text, size, force, result, err);
	store_close(s);
	return rc == -1 ? err_wrap(err, "import %s", file) : 0;
}
