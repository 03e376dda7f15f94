/* grpc.reflection.v1 and v1alpha. */

#include "daemon/service/reflection.h"

#include <string.h>

#include "daemon/core/access.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "proto/lib/descriptors.h"

#define REQUEST(name)                                                          \
	GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name
#define RESPONSE(name)                                                         \
	GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name

/* Files that one answer can have: all that there are. */
#define MAX_FILES 64

typedef Grpc__Reflection__V1__ServerReflectionRequest request_type;
typedef Grpc__Reflection__V1__ServerReflectionResponse response_type;

static void answer_error(response_type *response,
			 Grpc__Reflection__V1__ErrorResponse *error,
			 const char *message)
{
	error->error_code = GRPC_STATUS_NOT_FOUND;
	error->error_message = (char *)message;
	response->message_response_case = RESPONSE(ERROR_RESPONSE);
	response->error_response = error;
}

/* Adds a file and all that it imports, each once. */
static void add_file(const char **names, size_t *n, const char *name)
{
	const char *const *imports = descriptors_imports(name);

	for (size_t i = 0; i < *n; i++)
		if (strcmp(names[i], name) == 0)
			return;
	if (*n == MAX_FILES)
		return;
	names[(*n)++] = name;
	for (; *imports; imports++)
		add_file(names, n, *imports);
}

static void send(struct call *call, const request_type *request,
		 response_type *response)
{
	response->valid_host = request->host;
	response->original_request = (request_type *)request;
	call_send(call, &response->base);
}

static void answer_file(struct call *call, const request_type *request,
			const char *name)
{
	Grpc__Reflection__V1__FileDescriptorResponse files =
		GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
	Grpc__Reflection__V1__ErrorResponse error =
		GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;
	response_type response =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
	ProtobufCBinaryData data[MAX_FILES];
	const char *names[MAX_FILES];

	if (!name || !descriptors_file(name)) {
		answer_error(&response, &error,
			     "there is no such file or symbol");
	} else {
		add_file(names, &files.n_file_descriptor_proto, name);
		for (size_t i = 0; i < files.n_file_descriptor_proto; i++)
			data[i] = *descriptors_file(names[i]);
		files.file_descriptor_proto = data;
		response.message_response_case =
			RESPONSE(FILE_DESCRIPTOR_RESPONSE);
		response.file_descriptor_response = &files;
	}
	send(call, request, &response);
}

static void answer_services(struct call *call, const request_type *request)
{
	Grpc__Reflection__V1__ListServiceResponse list =
		GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
	response_type response =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
	Grpc__Reflection__V1__ServiceResponse items[MAX_FILES];
	Grpc__Reflection__V1__ServiceResponse *pointers[MAX_FILES];
	const char *const *services = call_arg(call);

	for (; services[list.n_service] && list.n_service < MAX_FILES;
	     list.n_service++) {
		Grpc__Reflection__V1__ServiceResponse *s =
			&items[list.n_service];

		grpc__reflection__v1__service_response__init(s);
		s->name = (char *)services[list.n_service];
		pointers[list.n_service] = s;
	}
	list.service = pointers;
	response.message_response_case = RESPONSE(LIST_SERVICES_RESPONSE);
	response.list_services_response = &list;
	send(call, request, &response);
}

/* No message of ours has extensions but those of descriptor.proto. */
static void answer_extensions(struct call *call, const request_type *request,
			      const char *type)
{
	Grpc__Reflection__V1__ExtensionNumberResponse numbers =
		GRPC__REFLECTION__V1__EXTENSION_NUMBER_RESPONSE__INIT;
	Grpc__Reflection__V1__ErrorResponse error =
		GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;
	response_type response =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;

	if (!descriptors_file_of(type)) {
		answer_error(&response, &error, "there is no such message");
	} else {
		numbers.base_type_name = (char *)type;
		response.message_response_case =
			RESPONSE(ALL_EXTENSION_NUMBERS_RESPONSE);
		response.all_extension_numbers_response = &numbers;
	}
	send(call, request, &response);
}

static int open_stream(struct call *call, struct err *err)
{
	return access_read(call_caller(call), err);
}

static void on_message(struct call *call, const void *message)
{
	const request_type *request = message;
	struct err err = ERR_INIT;

	switch (request->message_request_case) {
	case REQUEST(FILE_BY_FILENAME):
		answer_file(call, request, request->file_by_filename);
		break;
	case REQUEST(FILE_CONTAINING_SYMBOL):
		answer_file(
			call, request,
			descriptors_file_of(request->file_containing_symbol));
		break;
	case REQUEST(FILE_CONTAINING_EXTENSION):
		answer_file(call, request, NULL);
		break;
	case REQUEST(ALL_EXTENSION_NUMBERS_OF_TYPE):
		answer_extensions(call, request,
				  request->all_extension_numbers_of_type);
		break;
	case REQUEST(LIST_SERVICES):
		answer_services(call, request);
		break;
	default:
		err_set(&err, GRPC_STATUS_INVALID_ARGUMENT,
			"the request asks for nothing");
		call_end(call, &err);
	}
}

static const struct call_stream info_stream = {
	.open = open_stream,
	.message = on_message,
};

const struct rpc_method service_reflection[] = {
	{.name = "ServerReflectionInfo",
	 .stream = &info_stream,
	 .request =
		 &grpc__reflection__v1__server_reflection_request__descriptor,
	 .reply =
		 &grpc__reflection__v1__server_reflection_response__descriptor},
	{.name = NULL},
};
