/*
 * The contracts as data: services and messages as protobuf-c knows them, and an
 * index of the encoded files for what it does not.
 */

#include "proto/lib/descriptors.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "google/protobuf/wrappers.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "grpc/reflection/v1alpha/reflection.pb-c.h"
#include "oim/admin/v1/admin.pb-c.h"
#include "oim/v0/oim.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

const ProtobufCServiceDescriptor *const descriptors_services[] = {
	&oim__v0__registry__descriptor,
	&oim__v0__controller__descriptor,
	&oim__admin__v1__admin__descriptor,
	&grpc__health__v1__health__descriptor,
	&grpc__reflection__v1__server_reflection__descriptor,
	&grpc__reflection__v1alpha__server_reflection__descriptor,
	NULL,
};

/* What Any may carry although no method takes or returns it. */
static const ProtobufCMessageDescriptor *const details[] = {
	&google__protobuf__any__descriptor,
	&google__protobuf__duration__descriptor,
	&google__protobuf__timestamp__descriptor,
	&google__protobuf__double_value__descriptor,
	&google__protobuf__float_value__descriptor,
	&google__protobuf__int64_value__descriptor,
	&google__protobuf__uint64_value__descriptor,
	&google__protobuf__int32_value__descriptor,
	&google__protobuf__uint32_value__descriptor,
	&google__protobuf__bool_value__descriptor,
	&google__protobuf__string_value__descriptor,
	&google__protobuf__bytes_value__descriptor,
	&google__rpc__status__descriptor,
	&google__rpc__retry_info__descriptor,
	&google__rpc__debug_info__descriptor,
	&google__rpc__quota_failure__descriptor,
	&google__rpc__error_info__descriptor,
	&google__rpc__precondition_failure__descriptor,
	&google__rpc__bad_request__descriptor,
	&google__rpc__request_info__descriptor,
	&google__rpc__resource_info__descriptor,
	&google__rpc__help__descriptor,
	&google__rpc__localized_message__descriptor,
};

static struct {
	pthread_once_t once;
	const ProtobufCMessageDescriptor **list;
	size_t n;
} messages = {.once = PTHREAD_ONCE_INIT};

/* The type and all that can be in it. */
static void add_message(const ProtobufCMessageDescriptor *type)
{
	for (size_t i = 0; i < messages.n; i++)
		if (messages.list[i] == type)
			return;
	messages.list = mem_realloc(messages.list, messages.n + 1,
				    sizeof(*messages.list));
	messages.list[messages.n++] = type;
	for (unsigned i = 0; i < type->n_fields; i++)
		if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
			add_message(type->fields[i].descriptor);
}

static void collect_messages(void)
{
	for (size_t i = 0; i < sizeof(details) / sizeof(*details); i++)
		add_message(details[i]);
	for (size_t i = 0; descriptors_services[i]; i++) {
		const ProtobufCServiceDescriptor *s = descriptors_services[i];

		for (unsigned j = 0; j < s->n_methods; j++) {
			add_message(s->methods[j].input);
			add_message(s->methods[j].output);
		}
	}
}

const ProtobufCMessageDescriptor *descriptors_find_message(const char *name)
{
	pthread_once(&messages.once, collect_messages);
	for (size_t i = 0; i < messages.n; i++)
		if (!strcmp(messages.list[i]->name, name))
			return messages.list[i];
	return NULL;
}

bool descriptors_is_secret(const char *message, const char *field)
{
	size_t size = strlen(message);

	for (const char *const *s = secret_fields; *s; s++)
		if (!strncmp(*s, message, size) && (*s)[size] == '.' &&
		    !strcmp(*s + size + 1, field))
			return true;
	return false;
}

struct file {
	const char *name;
	const char **imports; /* NULL-terminated */
	ProtobufCBinaryData data;
};

struct symbol {
	const char *name;
	const struct file *file;
	bool client_streams, server_streams; /* of methods */
};

/* Of descriptors_data; made once and kept. */
static struct {
	pthread_once_t once;
	struct arena *arena;
	struct file *files;
	size_t n_files;
	struct symbol *symbols; /* by name */
	size_t n_symbols;
} set = {.once = PTHREAD_ONCE_INIT};

static struct symbol *add_symbol(const struct file *file, const char *scope,
				 const char *name)
{
	struct symbol *symbol;

	set.symbols = mem_realloc(set.symbols, set.n_symbols + 1,
				  sizeof(*set.symbols));
	symbol = &set.symbols[set.n_symbols++];
	*symbol = (struct symbol){
		.name = *scope ? arena_printf(set.arena, "%s.%s", scope, name)
			       : arena_strdup(set.arena, name),
		.file = file,
	};
	return symbol;
}

static void add_fields(const struct file *file, const char *scope, size_t n,
		       Google__Protobuf__FieldDescriptorProto **fields)
{
	for (size_t i = 0; i < n; i++)
		add_symbol(file, scope, fields[i]->name);
}

/* The values of an enum are beside it, not in it. */
static void add_enums(const struct file *file, const char *scope, size_t n,
		      Google__Protobuf__EnumDescriptorProto **enums)
{
	for (size_t i = 0; i < n; i++) {
		add_symbol(file, scope, enums[i]->name);
		for (size_t j = 0; j < enums[i]->n_value; j++)
			add_symbol(file, scope, enums[i]->value[j]->name);
	}
}

static void add_types(const struct file *file, const char *scope, size_t n,
		      Google__Protobuf__DescriptorProto **types)
{
	for (size_t i = 0; i < n; i++) {
		const Google__Protobuf__DescriptorProto *t = types[i];
		const char *name = add_symbol(file, scope, t->name)->name;

		add_fields(file, name, t->n_field, t->field);
		add_fields(file, name, t->n_extension, t->extension);
		add_enums(file, name, t->n_enum_type, t->enum_type);
		add_types(file, name, t->n_nested_type, t->nested_type);
	}
}

static void add_service(const struct file *file, const char *scope,
			const Google__Protobuf__ServiceDescriptorProto *service)
{
	const char *name = add_symbol(file, scope, service->name)->name;

	for (size_t i = 0; i < service->n_method; i++) {
		const Google__Protobuf__MethodDescriptorProto *m =
			service->method[i];
		struct symbol *symbol = add_symbol(file, name, m->name);

		symbol->client_streams = m->client_streaming;
		symbol->server_streams = m->server_streaming;
	}
}

static void add_file(struct file *file, const ProtobufCBinaryData *data)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	const Google__Protobuf__FileDescriptorProto *proto = arena_unpack(
		a, &google__protobuf__file_descriptor_proto__descriptor,
		data->data, data->len);
	const char *scope;

	assert(proto);
	scope = proto->package ? proto->package : "";
	file->data = *data;
	file->name = arena_strdup(set.arena, proto->name);
	file->imports = arena_zalloc(set.arena, proto->n_dependency + 1,
				     sizeof(*file->imports));
	for (size_t i = 0; i < proto->n_dependency; i++)
		file->imports[i] =
			arena_strdup(set.arena, proto->dependency[i]);
	add_types(file, scope, proto->n_message_type, proto->message_type);
	add_enums(file, scope, proto->n_enum_type, proto->enum_type);
	add_fields(file, scope, proto->n_extension, proto->extension);
	for (size_t i = 0; i < proto->n_service; i++)
		add_service(file, scope, proto->service[i]);
}

static int compare_symbols(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static void parse_set(void)
{
	/* It is encoded like FileDescriptorSet, and leaves the files so. */
	const Grpc__Reflection__V1__FileDescriptorResponse *files;

	set.arena = arena_new();
	files = arena_unpack(
		set.arena,
		&grpc__reflection__v1__file_descriptor_response__descriptor,
		descriptors_data, descriptors_size);
	assert(files);
	set.n_files = files->n_file_descriptor_proto;
	set.files = arena_zalloc(set.arena, set.n_files, sizeof(*set.files));
	for (size_t i = 0; i < set.n_files; i++)
		add_file(&set.files[i], &files->file_descriptor_proto[i]);
	qsort(set.symbols, set.n_symbols, sizeof(*set.symbols),
	      compare_symbols);
}

static const struct symbol *find_symbol(const char *name)
{
	struct symbol key = {.name = name};

	pthread_once(&set.once, parse_set);
	return bsearch(&key, set.symbols, set.n_symbols, sizeof(*set.symbols),
		       compare_symbols);
}

static const struct file *find_file(const char *name)
{
	pthread_once(&set.once, parse_set);
	for (size_t i = 0; i < set.n_files; i++)
		if (!strcmp(set.files[i].name, name))
			return &set.files[i];
	return NULL;
}

const ProtobufCBinaryData *descriptors_file(const char *name)
{
	const struct file *file = find_file(name);

	return file ? &file->data : NULL;
}

const char *descriptors_file_of(const char *symbol)
{
	const struct symbol *found = find_symbol(symbol);

	return found ? found->file->name : NULL;
}

const char *const *descriptors_imports(const char *name)
{
	static const char *const none[] = {NULL};
	const struct file *file = find_file(name);

	return file ? file->imports : none;
}

static const ProtobufCServiceDescriptor *find_service(const char *name)
{
	for (size_t i = 0; descriptors_services[i]; i++)
		if (!strcmp(descriptors_services[i]->name, name))
			return descriptors_services[i];
	return NULL;
}

bool descriptors_find_method(const char *name, struct descriptors_method *m)
{
	CLEANUP(cleanup_free) char *service = NULL;
	CLEANUP(cleanup_free) char *full = NULL;
	const struct symbol *symbol;
	char *end;

	service = mem_strdup(*name == '/' ? name + 1 : name);
	end = strrchr(service, '/');
	if (!end)
		end = strrchr(service, '.');
	if (!end)
		return false;
	*end = '\0';
	m->service = find_service(service);
	if (!m->service)
		return false;
	m->method = protobuf_c_service_descriptor_get_method_by_name(m->service,
								     end + 1);
	if (!m->method)
		return false;
	full = mem_printf("%s.%s", service, m->method->name);
	symbol = find_symbol(full);
	assert(symbol);
	m->client_streams = symbol->client_streams;
	m->server_streams = symbol->server_streams;
	return true;
}
