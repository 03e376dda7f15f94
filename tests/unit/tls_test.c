/* Reading the files of mutual TLS, reading them again, and identities. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"
#include "proto/lib/tls.h"
#include "proto/lib/units.h"
#include "tests/unit/certs.h"

static int setup(void **state)
{
	struct certs *c = mem_zalloc(1, sizeof(*c));

	certs_init(c, "test CA");
	certs_issue(c, "host.a");
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	certs_clear(*state);
	free(*state);
	return 0;
}

static void cleanup_tls(struct tls **t)
{
	tls_unref(*t);
}

static void cleanup_identity(const struct tls_identity **identity)
{
	tls_identity_release(*identity);
}

static struct tls *load(const struct certs *c)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct tls *t = certs_tls(c, c, "host.a", &err);

	if (err.msg)
		print_error("%s\n", err.msg);
	assert_non_null(t);
	return t;
}

/* message has one %s for the directory. */
static void assert_refused(const struct certs *c, const char *message)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_free) char *expected = mem_printf(message, c->dir);

	assert_null(certs_tls(c, c, "host.a", &err));
	assert_string_equal(err.msg, expected);
	assert_int_equal(err.code, GRPC_STATUS_FAILED_PRECONDITION);
}

static void remove_file(const struct certs *c, const char *name)
{
	CLEANUP(cleanup_free) char *path = certs_path(c, name);

	assert_int_equal(unlink(path), 0);
}

static void set_mode(const struct certs *c, const char *name, mode_t mode)
{
	CLEANUP(cleanup_free) char *path = certs_path(c, name);

	assert_int_equal(chmod(path, mode), 0);
}

static void append(const struct certs *c, const char *name, const char *text)
{
	CLEANUP(cleanup_free) char *path = certs_path(c, name);
	FILE *file = fopen(path, "ae");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static const struct tls_identity *identify(struct tls *t, const struct certs *c,
					   const char *name)
{
	CLEANUP(cleanup_free) char *file = mem_printf("%s.crt", name);
	CLEANUP(cleanup_free) char *pem = certs_read(c, file);

	return tls_identity_of(t, pem, strlen(pem));
}

/* --- the files --- */

static void test_good_files_are_taken(void **state)
{
	CLEANUP(cleanup_tls) struct tls *t = load(*state);

	assert_int_equal(tls_generation(t), 1);
	assert_in_range(tls_expiry(t), time(NULL) + CERTS_DAY - 60,
			time(NULL) + CERTS_DAY);
}

static void test_a_file_that_is_missing_is_named(void **state)
{
	remove_file(*state, "host.a.key");
	assert_refused(*state,
		       "key file %s/host.a.key: No such file or directory");
}

static void test_a_file_without_a_certificate_is_refused(void **state)
{
	certs_write(*state, "ca.crt", "nothing of interest\n");
	assert_refused(*state, "CA file %s/ca.crt: it holds no certificate");
}

static void test_a_certificate_that_is_cut_off_is_counted(void **state)
{
	append(*state, "host.a.crt", "-----BEGIN CERTIFICATE-----\nMIIB\n");
	assert_refused(*state, "certificate file %s/host.a.crt: certificate 2 "
			       "in it does not parse");
}

static void test_a_file_that_is_not_text_is_refused(void **state)
{
	CLEANUP(cleanup_free) char *path = certs_path(*state, "ca.crt");

	assert_int_equal(truncate(path, 10000), 0);
	assert_refused(*state, "CA file %s/ca.crt: it is not a PEM file");
}

static void test_a_key_of_another_certificate_is_refused(void **state)
{
	EVP_PKEY *other = EVP_EC_gen("P-256");

	certs_write_key(*state, "host.a.key", other);
	EVP_PKEY_free(other);
	assert_refused(*state, "key file %s/host.a.key: it does not belong to "
			       "the certificate");
}

static void test_a_key_with_a_passphrase_is_refused(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	FILE *file = certs_open(*state, "host.a.key");
	char phrase[] = "secret";

	assert_int_equal(PEM_write_PKCS8PrivateKey(file, key, EVP_aes_128_cbc(),
						   phrase, 6, NULL, NULL),
			 1);
	fclose(file);
	EVP_PKEY_free(key);
	assert_refused(*state, "key file %s/host.a.key: it is protected by a "
			       "passphrase");
}

static void test_a_key_that_others_can_read_is_refused(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	const struct certs *c = *state;
	CLEANUP(cleanup_free) char *hint = NULL;

	set_mode(c, "host.a.key", 0644);
	assert_refused(c, "key file %s/host.a.key: others have access to it "
			  "(mode 0644)");
	assert_null(certs_tls(c, c, "host.a", &err));
	hint = mem_printf("chmod o= %s/host.a.key", c->dir);
	assert_string_equal(err.hint, hint);
}

static void test_a_key_that_the_group_can_read_is_taken(void **state)
{
	CLEANUP(cleanup_tls) struct tls *t = NULL;

	set_mode(*state, "host.a.key", 0640);
	t = load(*state);
}

static void test_what_is_wrong_with_a_key_does_not_show_it(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	certs_write(*state, "host.a.key",
		    "-----BEGIN PRIVATE KEY-----\nc2VjcmV0IGtleQ==\n"
		    "-----END PRIVATE KEY-----\n");
	assert_null(certs_tls(*state, *state, "host.a", &err));
	assert_null(strstr(err.msg, "c2VjcmV0"));
	assert_non_null(strstr(err.msg, "does not parse"));
}

static void test_an_expired_certificate_is_taken(void **state)
{
	CLEANUP(cleanup_tls) struct tls *t = NULL;

	certs_issue_for(*state, "host.a", "host.a", NULL, -2 * CERTS_DAY,
			-CERTS_DAY);
	t = load(*state);
	assert_true(tls_expiry(t) < time(NULL));
}

static void test_a_revocation_list_of_another_ca_is_refused(void **state)
{
	struct certs *c = *state;
	struct certs other;
	CLEANUP(cleanup_free) char *list = NULL;

	certs_init(&other, "test CA");
	certs_revoke(&other, 0);
	list = certs_read(&other, "crl.pem");
	c->crl = STEAL(other.crl);
	certs_write(c, "crl.pem", list);
	certs_clear(&other);
	assert_refused(c, "revocation list %s/crl.pem: it is not signed by "
			  "the CA");
}

static void test_a_file_without_a_revocation_list_is_refused(void **state)
{
	certs_revoke(*state, 0);
	certs_write(*state, "crl.pem", "\n");
	assert_refused(*state, "revocation list %s/crl.pem: it holds no "
			       "revocation list");
}

/* --- reading again --- */

static void test_new_files_are_taken(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_tls) struct tls *t = load(*state);
	int64_t expiry = tls_expiry(t);

	certs_issue_for(*state, "host.a", "host.a", NULL, -CERTS_DAY,
			9 * CERTS_DAY);
	assert_int_equal(tls_refresh(t, true, &err), 0);
	assert_int_equal(tls_generation(t), 2);
	assert_true(tls_expiry(t) > expiry);
}

static void test_the_same_files_are_no_new_generation(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_tls) struct tls *t = load(*state);

	assert_int_equal(tls_refresh(t, true, &err), 0);
	assert_int_equal(tls_generation(t), 1);
}

static void test_files_are_not_looked_at_twice_in_a_second(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_tls) struct tls *t = load(*state);

	certs_issue(*state, "host.a");
	assert_int_equal(tls_refresh(t, false, &err), 0);
	assert_int_equal(tls_generation(t), 1);
}

static void test_broken_files_leave_what_is_in_use(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_tls) struct tls *t = load(*state);
	int64_t expiry = tls_expiry(t);

	certs_write(*state, "host.a.crt", "half a fi");
	assert_int_equal(tls_refresh(t, true, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_FAILED_PRECONDITION);
	assert_int_equal(tls_generation(t), 1);
	assert_int_equal(tls_expiry(t), expiry);
}

/* What tls_on_refresh() was told. */
struct told {
	atomic_uint good;
	atomic_uint bad;
};

static void on_refresh(void *arg, const struct err *err)
{
	struct told *told = arg;

	atomic_fetch_add(err ? &told->bad : &told->good, 1);
}

/*
 * Asks as a daemon does, call by call, until the event has come, or for so long
 * that the files were looked at twice.
 */
static void ask_until(struct tls *t, const char *pem, atomic_uint *event)
{
	int64_t end = units_monotonic() + 5 * UNITS_SECOND / 2;

	while (!*event && units_monotonic() < end)
		tls_identity_release(tls_identity_of(t, pem, strlen(pem)));
}

static void test_broken_files_are_reported_once(void **state)
{
	CLEANUP(cleanup_tls) struct tls *t = load(*state);
	CLEANUP(cleanup_free) char *pem = certs_read(*state, "host.a.crt");
	struct told told = {0};
	atomic_uint never = 0;

	tls_on_refresh(t, on_refresh, &told);
	remove_file(*state, "host.a.crt");
	ask_until(t, pem, &told.bad);
	assert_int_equal(told.bad, 1);
	ask_until(t, pem, &never);
	assert_int_equal(told.bad, 1);
	assert_int_equal(told.good, 0);
}

static void test_a_key_that_is_repaired_by_its_mode_is_taken(void **state)
{
	CLEANUP(cleanup_tls) struct tls *t = load(*state);
	CLEANUP(cleanup_free) char *pem = certs_read(*state, "host.a.crt");
	struct told told = {0};

	tls_on_refresh(t, on_refresh, &told);
	certs_issue(*state, "host.a");
	set_mode(*state, "host.a.key", 0604);
	ask_until(t, pem, &told.bad);
	set_mode(*state, "host.a.key", 0600);
	ask_until(t, pem, &told.good);
	assert_int_equal(tls_generation(t), 2);
}

/* --- identities --- */

static void test_the_common_name_is_the_first_name(void **state)
{
	CLEANUP(cleanup_tls) struct tls *t = load(*state);
	CLEANUP(cleanup_identity) const struct tls_identity *who = NULL;

	certs_issue_for(*state, "x", "host.n1",
			"DNS:controller.n1,IP:127.0.0.1,DNS:host.n1",
			-CERTS_DAY, CERTS_DAY);
	who = identify(t, *state, "x");
	assert_string_equal(who->names[0], "host.n1");
	assert_string_equal(who->names[1], "controller.n1");
	assert_null(who->names[2]);
	assert_false(who->revoked);
}

static void test_names_are_compared_byte_for_byte(void **state)
{
	CLEANUP(cleanup_tls) struct tls *t = load(*state);
	CLEANUP(cleanup_identity) const struct tls_identity *who = NULL;

	certs_issue_for(*state, "x", "host.\xc3\xa9", "DNS:*.n1,DNS:host.N2",
			-CERTS_DAY, CERTS_DAY);
	who = identify(t, *state, "x");
	assert_true(tls_identity_has(who, "host.\xc3\xa9"));
	assert_true(tls_identity_has(who, "*.n1"));
	assert_false(tls_identity_has(who, "host.n1"));
	assert_false(tls_identity_has(who, "host.n2"));
	assert_false(tls_identity_has(who, ""));
}

static void test_a_name_with_a_nul_does_not_count(void **state)
{
	CLEANUP(cleanup_tls) struct tls *t = load(*state);
	CLEANUP(cleanup_identity) const struct tls_identity *who = NULL;
	struct certs *c = *state;
	X509 *cert = certs_new_cert(c->key, NULL, 77, 0, CERTS_DAY);

	assert_int_equal(
		X509_NAME_add_entry_by_txt(
			X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
			(const unsigned char *)"user.admin\0x", 12, -1, 0),
		1);
	certs_extend(cert, c->cert, NID_subject_alt_name, "DNS:host.a");
	X509_set_issuer_name(cert, X509_get_subject_name(c->cert));
	assert_true(X509_sign(cert, c->key, EVP_sha256()) > 0);
	certs_write_cert(c, "x.crt", cert);
	X509_free(cert);
	who = identify(t, c, "x");
	assert_string_equal(who->names[0], "host.a");
	assert_null(who->names[1]);
}

static void test_a_certificate_without_names_has_none(void **state)
{
	CLEANUP(cleanup_tls) struct tls *t = load(*state);
	CLEANUP(cleanup_identity) const struct tls_identity *who = NULL;

	certs_issue_for(*state, "x", NULL, NULL, -CERTS_DAY, CERTS_DAY);
	who = identify(t, *state, "x");
	assert_null(who->names[0]);
}

static void test_what_is_not_a_certificate_has_no_identity(void **state)
{
	CLEANUP(cleanup_tls) struct tls *t = load(*state);

	assert_null(tls_identity_of(t, "", 0));
	assert_null(tls_identity_of(t, "-----BEGIN CERTIFICATE-----\n", 28));
}

static void test_a_revoked_certificate_says_so(void **state)
{
	CLEANUP(cleanup_identity) const struct tls_identity *bad = NULL;
	CLEANUP(cleanup_identity) const struct tls_identity *good = NULL;
	CLEANUP(cleanup_tls) struct tls *t = NULL;

	certs_revoke(*state, certs_issue(*state, "host.bad"));
	certs_issue(*state, "host.good");
	t = load(*state);
	bad = identify(t, *state, "host.bad");
	good = identify(t, *state, "host.good");
	assert_true(bad->revoked);
	assert_false(good->revoked);
}

static void test_a_revocation_list_that_has_expired_counts(void **state)
{
	CLEANUP(cleanup_identity) const struct tls_identity *bad = NULL;
	CLEANUP(cleanup_tls) struct tls *t = NULL;

	certs_revoke_until(*state, certs_issue(*state, "host.bad"), -CERTS_DAY);
	t = load(*state);
	bad = identify(t, *state, "host.bad");
	assert_true(bad->revoked);
}

static void test_a_new_revocation_list_is_heeded(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_identity) const struct tls_identity *before = NULL;
	CLEANUP(cleanup_identity) const struct tls_identity *after = NULL;
	CLEANUP(cleanup_tls) struct tls *t = NULL;
	long serial = certs_issue(*state, "host.bad");

	certs_revoke(*state, 0);
	t = load(*state);
	before = identify(t, *state, "host.bad");
	certs_revoke(*state, serial);
	assert_int_equal(tls_refresh(t, true, &err), 0);
	after = identify(t, *state, "host.bad");
	assert_false(before->revoked);
	assert_true(after->revoked);
}

static void test_an_answer_is_remembered(void **state)
{
	CLEANUP(cleanup_tls) struct tls *t = load(*state);
	CLEANUP(cleanup_identity) const struct tls_identity *a = NULL;
	CLEANUP(cleanup_identity) const struct tls_identity *b = NULL;

	a = identify(t, *state, "host.a");
	b = identify(t, *state, "host.a");
	assert_ptr_equal(a, b);
}

static void test_more_identities_than_are_remembered_are_told_apart(
	void **state)
{
	CLEANUP(cleanup_tls) struct tls *t = load(*state);

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 300; i++) {
			CLEANUP(cleanup_identity) const struct tls_identity *w;
			char name[32];

			w = NULL;
			snprintf(name, sizeof(name), "host.%d", i);
			if (round == 0)
				certs_issue(*state, name);
			w = identify(t, *state, name);
			assert_string_equal(w->names[0], name);
		}
	}
}

/* One of several threads that ask while the files change. */
struct asker {
	pthread_t thread;
	struct tls *tls;
	char *pem;
	atomic_bool *stop;
	unsigned wrong;
};

static void *ask(void *arg)
{
	struct asker *a = arg;

	while (!*a->stop) {
		CLEANUP(cleanup_identity) const struct tls_identity *who = NULL;

		who = tls_identity_of(a->tls, a->pem, strlen(a->pem));
		a->wrong += !who || !tls_identity_has(who, "host.a");
	}
	return NULL;
}

static void test_threads_may_ask_while_files_change(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_tls) struct tls *t = NULL;
	CLEANUP(cleanup_free) char *pem = certs_read(*state, "host.a.crt");
	struct asker askers[3];
	atomic_bool stop = false;

	certs_revoke(*state, 0);
	t = load(*state);
	for (int i = 0; i < 3; i++) {
		askers[i] = (struct asker){.tls = t, .pem = pem, .stop = &stop};
		assert_int_equal(pthread_create(&askers[i].thread, NULL, ask,
						&askers[i]),
				 0);
	}
	for (long serial = 1000; serial < 1100; serial++) {
		certs_revoke(*state, serial);
		assert_int_equal(tls_refresh(t, true, &err), 0);
	}
	stop = true;
	for (int i = 0; i < 3; i++) {
		pthread_join(askers[i].thread, NULL);
		assert_int_equal(askers[i].wrong, 0);
	}
	assert_int_equal(tls_generation(t), 101);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_good_files_are_taken),
		TEST(test_a_file_that_is_missing_is_named),
		TEST(test_a_file_without_a_certificate_is_refused),
		TEST(test_a_certificate_that_is_cut_off_is_counted),
		TEST(test_a_file_that_is_not_text_is_refused),
		TEST(test_a_key_of_another_certificate_is_refused),
		TEST(test_a_key_with_a_passphrase_is_refused),
		TEST(test_a_key_that_others_can_read_is_refused),
		TEST(test_a_key_that_the_group_can_read_is_taken),
		TEST(test_what_is_wrong_with_a_key_does_not_show_it),
		TEST(test_an_expired_certificate_is_taken),
		TEST(test_a_revocation_list_of_another_ca_is_refused),
		TEST(test_a_file_without_a_revocation_list_is_refused),
		TEST(test_new_files_are_taken),
		TEST(test_the_same_files_are_no_new_generation),
		TEST(test_files_are_not_looked_at_twice_in_a_second),
		TEST(test_broken_files_leave_what_is_in_use),
		TEST(test_broken_files_are_reported_once),
		TEST(test_a_key_that_is_repaired_by_its_mode_is_taken),
		TEST(test_the_common_name_is_the_first_name),
		TEST(test_names_are_compared_byte_for_byte),
		TEST(test_a_name_with_a_nul_does_not_count),
		TEST(test_a_certificate_without_names_has_none),
		TEST(test_what_is_not_a_certificate_has_no_identity),
		TEST(test_a_revoked_certificate_says_so),
		TEST(test_a_revocation_list_that_has_expired_counts),
		TEST(test_a_new_revocation_list_is_heeded),
		TEST(test_an_answer_is_remembered),
		TEST(test_more_identities_than_are_remembered_are_told_apart),
		TEST(test_threads_may_ask_while_files_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
