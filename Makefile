# OIM, the Open Infrastructure Manager.
#
#   make                build oimd and oimctl in build/
#   make check          build and run the tests that need no root (fast)
#   make check-all      every test; as root those of real disks too
#   make check-long     soak and crash tests at full length
#   make fuzzers        build the fuzzers in build-fuzz/ (needs clang)
#   make fuzz           run each for FUZZ_SECONDS=10
#   make bench          measure against the peers, print the table
#   make install        into $(DESTDIR)$(prefix)
#   make clean          remove all build folders
#   make help           this text
#
#   make format         format the C sources as check-format wants them
#   make check-layers check-headers check-docs check-format check-units
#                       single checks of `make check`
#
# Variables:
#   VARIANT=san         build with ASan and UBSan in build-san/ (cov: coverage)
#   GRPC=shared         link gRPC and small libraries dynamically
#   WERROR=             do not stop at warnings
#   V=1                 show the commands
#   BENCH='--only 1'    options of tests/bench/run
#   prefix=/usr sysconfdir=/etc DESTDIR=

.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules

VERSION := 0.1.0

prefix     ?= /usr/local
sysconfdir ?= $(if $(filter /usr,$(prefix)),/etc,$(prefix)/etc)
bindir     ?= $(prefix)/bin
sbindir    ?= $(prefix)/sbin
mandir     ?= $(prefix)/share/man
datadir    ?= $(prefix)/share/oim
unitdir    ?= $(prefix)/lib/systemd/system
completiondir ?= $(prefix)/share/bash-completion/completions

VARIANT ?=
GRPC    ?= static
WERROR  ?= -Werror
Q       := $(if $(V),,@)
B       := build$(if $(VARIANT),-$(VARIANT))

CC      ?= gcc
CFLAGS  ?= -O2 -g
PKGS    := libprotobuf-c json-c popt smartcols libssl libcrypto \
	   ini_config yaml-0.1
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	   -Wvla -Wformat=2 -Wno-format-nonliteral $(WERROR)

pkg_cflags := $(shell pkg-config --cflags $(PKGS))

ALLCPPFLAGS = -D_GNU_SOURCE -DOIM_VERSION='"$(VERSION)"' -I. -I$B/gen \
	      $(pkg_cflags) $(CPPFLAGS)
ALLCFLAGS   = -std=gnu11 $(WARN) -pthread -ffunction-sections \
	      $(ALLCPPFLAGS) $(CFLAGS) $(CFLAGS_$(VARIANT))
ALLLDFLAGS  = -pthread -Wl,--gc-sections -Wl,-z,relro $(LDFLAGS) \
	      $(CFLAGS_$(VARIANT))

CFLAGS_san  = -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	      -fno-omit-frame-pointer -DOIM_END_IN_ORDER
CFLAGS_cov  = --coverage -O0 -DOIM_END_IN_ORDER
# Obstacks add to a null pointer, on purpose.
CFLAGS_fuzz = -fsanitize=fuzzer-no-link,address,undefined \
	      -fno-sanitize=pointer-overflow \
	      -fno-sanitize-recover=undefined -fno-omit-frame-pointer

# gRPC and small libraries from their archives, which is most of the time that a
# start takes; what others maintain for security dynamically.
small_libs  = -lprotobuf-c -ljson-c -lpopt -llmdb -lreadline -ltinfo -lyaml
GRPC_shared = -lgrpc -lgpr $(small_libs)
grpc_libs  := $(filter-out -lssl -lcrypto -lz -lcares -lpthread -ldl -lrt \
	      -lm -pthread,$(shell pkg-config --static --libs grpc))
GRPC_static = -Wl,-Bstatic $(grpc_libs) -lstdc++ $(small_libs) \
	      -Wl,-Bdynamic -static-libgcc
LIBS_common = $(GRPC_$(GRPC)) -lini_config -lssl -lcrypto -lz -lcares -lm
LIBS_oimd   = $(LIBS_common)
LIBS_oimctl = $(LIBS_common) -lsmartcols

# Prints what is made, unless V=1 shows how.
say = $(if $(V),,@printf '  %-6s %s\n' $1 $@)

# ---------------------------------------------------------------- generated

# The contracts of both programs; v1alpha of reflection is made from v1.
protos := $(patsubst proto/%,%,$(shell find proto -name '*.proto' | sort)) \
	  grpc/reflection/v1alpha/reflection.proto
wellknown := $(addprefix google/protobuf/,any.proto duration.proto \
	  timestamp.proto wrappers.proto descriptor.proto)
# What reflection offers.
public := oim/v0/oim.proto oim/admin/v1/admin.proto \
	  grpc/health/v1/health.proto grpc/reflection/v1/reflection.proto \
	  grpc/reflection/v1alpha/reflection.proto google/rpc/status.proto \
	  google/rpc/error_details.proto

PROTOC = protoc -Iproto -I$B/gen
gen_src := $(patsubst %.proto,$B/gen/%.pb-c.c,$(protos) $(wellknown)) \
	   $B/gen/secrets.c $B/gen/descriptors.c
gen_hdr := $(patsubst %.proto,$B/gen/%.pb-c.h,$(protos) $(wellknown)) \
	   $B/gen/tests/kinds.pb-c.h

# ---------------------------------------------------------------- sources

lib_src    := $(sort $(wildcard proto/lib/*.c))
daemon_src := $(sort $(wildcard daemon/*.c daemon/*/*.c))
cli_src    := $(sort $(wildcard cli/*.c))
unit_src   := $(sort $(wildcard tests/unit/*_test.c))
fuzz_src   := $(sort $(wildcard tests/fuzz/*_fuzz.c))
preload_src := tests/bench/h2load_cert.c
tool_src   := $(filter-out $(preload_src), \
	      $(sort $(wildcard tests/tools/*.c tests/bench/*.c)))

obj = $(patsubst %.c,$B/%.o,$(filter-out $B/%,$1)) \
      $(patsubst $B/%.c,$B/%.o,$(filter $B/%,$1))

lib_obj    := $(call obj,$(lib_src) $(gen_src))
daemon_obj := $(call obj,$(filter-out daemon/main.c,$(daemon_src)))
cli_obj    := $(call obj,$(filter-out cli/main.c,$(cli_src)) \
	      $B/gen/completion.c)
objs       := $(lib_obj) $(daemon_obj) $(cli_obj) $B/daemon/main.o \
	      $B/cli/main.o $(call obj,$(unit_src) $(fuzz_src) $(tool_src))

units := $(patsubst tests/unit/%.c,$B/tests/unit/%,$(unit_src))
tools := $(patsubst %.c,$B/%,$(tool_src))
preloads := $(patsubst %.c,$B/%.so,$(preload_src))

.PHONY: all
all: $B/oimd $B/oimctl

link = $(CC) $(ALLLDFLAGS) -o $@ $(filter %.o %.a,$^)

$B/oimd: $B/daemon/main.o $B/libdaemon.a $B/liboim.a $B/flags
	$(call say,LD)
	$(Q)$(link) $(LIBS_oimd)

$B/oimctl: $B/cli/main.o $B/libcli.a $B/liboim.a $B/flags
	$(call say,LD)
	$(Q)$(link) $(LIBS_oimctl)

$B/liboim.a: $(lib_obj)
$B/libdaemon.a: $(daemon_obj)
$B/libcli.a: $(cli_obj)
$B/%.a:
	@rm -f $@
	@ar rcs $@ $^

# Whatever is made depends on the flags; this file changes only when they do.
flags = $(CC) $(ALLCFLAGS) $(ALLLDFLAGS) $(LIBS_oimd) $(LIBS_oimctl)
$B/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(flags))' | cmp -s - $@ || \
		echo '$(subst ','\'',$(flags))' >$@
.PHONY: FORCE
FORCE:

$B/%.o: %.c $B/flags | $(gen_hdr)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALLCFLAGS) -MMD -MP -c -o $@ $<

$B/gen/%.o: $B/gen/%.c $B/flags | $(gen_hdr)
	$(call say,CC)
	$(Q)$(CC) $(ALLCFLAGS) -MMD -MP -c -o $@ $<

-include $(objs:.o=.d)

$B/gen/%.pb-c.c $B/gen/%.pb-c.h &: proto/%.proto
	@mkdir -p $B/gen
	$(call say,GEN)
	$(Q)protoc-c --c_out=$B/gen -Iproto $<

$B/gen/google/protobuf/%.pb-c.c $B/gen/google/protobuf/%.pb-c.h &:
	@mkdir -p $B/gen
	$(call say,GEN)
	$(Q)protoc-c --c_out=$B/gen -I/usr/include \
		/usr/include/google/protobuf/$*.proto

$B/gen/tests/%.pb-c.c $B/gen/tests/%.pb-c.h &: tests/%.proto
	@mkdir -p $B/gen
	$(call say,GEN)
	$(Q)protoc-c --c_out=$B/gen -I. $<

v1alpha := $B/gen/grpc/reflection/v1alpha/reflection
$(v1alpha).proto: proto/grpc/reflection/v1/reflection.proto
	@mkdir -p $(@D)
	$(call say,GEN)
	$(Q)sed 's/^package .*/package grpc.reflection.v1alpha;/' $< >$@

$(v1alpha).pb-c.c $(v1alpha).pb-c.h &: $(v1alpha).proto
	$(call say,GEN)
	$(Q)protoc-c --c_out=$B/gen -I$B/gen $<

# The contracts as FileDescriptorSet: all, and those that reflection offers.
$B/gen/all.pb: $(shell find proto -name '*.proto') $(v1alpha).proto
	$(call say,GEN)
	$(Q)$(PROTOC) --descriptor_set_out=$@ --include_imports $(protos)
$B/gen/public.pb: $(filter-out %v1alpha/reflection.proto,$(public:%=proto/%)) $(v1alpha).proto
	$(call say,GEN)
	$(Q)$(PROTOC) --descriptor_set_out=$@ --include_imports $(public)

$B/gen/secrets.c: $B/gen/all.pb proto/secrets.awk
	$(call say,GEN)
	$(Q)protoc --decode=google.protobuf.FileDescriptorSet \
		google/protobuf/descriptor.proto <$< | \
		awk -f proto/secrets.awk >$@

$B/gen/descriptors.c: $B/gen/public.pb
	$(call say,GEN)
	$(Q){ echo '#include "proto/lib/descriptors.h"'; \
	  echo 'const uint8_t descriptors_data[] = {'; \
	  od -An -v -tu1 $< | sed 's/ *\([0-9]\{1,\}\)/\1,/g'; \
	  echo '};'; \
	  echo 'const size_t descriptors_size = sizeof(descriptors_data);'; } >$@

# The script that oimctl prints.
$B/gen/completion.c: completions/oimctl
	@mkdir -p $(@D)
	$(call say,GEN)
	$(Q){ echo '#include "cli/completion.h"'; \
	  echo 'const char completion_bash[] = {'; \
	  od -An -v -tu1 $< | sed 's/ *\([0-9]\{1,\}\)/\1,/g'; \
	  echo '0};'; } >$@

# ---------------------------------------------------------------- tests

# A unit test is one file, linked with all of the daemon and the client.
$(units): $B/tests/unit/%: $B/tests/unit/%.o $B/gen/tests/kinds.pb-c.o \
		$B/libdaemon.a $B/libcli.a $B/liboim.a $B/flags
	$(call say,LD)
	$(Q)$(link) -lcmocka $(LIBS_oimctl)

fuzzers := $(patsubst %.c,$B/%,$(fuzz_src))

$(fuzzers): $B/%: $B/%.o $B/gen/tests/kinds.pb-c.o $B/liboim.a
	$(call say,LD)
	$(Q)$(link) -fsanitize=fuzzer $(LIBS_common)

FUZZ_SECONDS ?= 10
.PHONY: fuzzers fuzz
fuzzers:
	$(Q)$(MAKE) --no-print-directory VARIANT=fuzz CC=clang \
		$(fuzz_src:%.c=build-fuzz/%)
fuzz: fuzzers
	$(Q)FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run --timeout 100000 \
		$(fuzz_runs)

# Bare programs are linked with what they use, not with what we have.
$(tools): $B/%: $B/%.o $B/libdaemon.a $B/liboim.a
	$(call say,LD)
	$(Q)$(link) -Wl,--as-needed $(LIBS_common)

$(preloads): $B/%.so: %.c $B/flags
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(ALLCFLAGS) -shared -fPIC -o $@ $<

.PHONY: units tools
units: $(units)
tools: $(tools) $(preloads)

# What tests/run is given: programs, with variables before them.
static     := $(sort $(wildcard tests/static/*))
functional := $(sort $(wildcard tests/functional/*_test.*))
fault      := $(sort $(wildcard tests/fault/*.sh tests/fault/*.py))
san        := $(functional:%='B=build-san %') $(fault:%='B=build-san %') \
	      $(units:$B/%=build-san/%)
# The suite of the store once more, on an etcd of three members.
members    := $(foreach t,test txn_test watch_test lease_test, \
	      'ETCD_MEMBERS=3 $B/tests/unit/store_$t')
fuzz_runs  := $(patsubst tests/fuzz/%_fuzz.c,'FUZZ=% tests/fuzz/run',$(fuzz_src))

JOBS ?= $(shell nproc)
run_tests = tests/run --jobs $(JOBS) --timeout 900 $(if $(STRICT),--strict)
export HEADER_CC = $(CC) $(ALLCFLAGS)

.PHONY: check check-all check-long san bench
check: all units tools
	$(Q)$(run_tests) $(static) $(units) $(functional)

# All of the build with sanitizers that tests use.
san:
	$(Q)$(MAKE) --no-print-directory VARIANT=san all units tools

check-all: all units tools san fuzzers
	$(Q)$(run_tests) $(static) $(units) $(functional) $(fault) \
		$(members) $(san) $(fuzz_runs)

check-long: all units tools san fuzzers
	$(Q)ROUNDS=10000 CYCLES=100000 CUT=60 KILLS=100 FUZZ_SECONDS=3600 \
		$(run_tests) --timeout 360000 $(fault) $(fuzz_runs)

.PHONY: check-layers check-headers check-format check-docs check-units
check-layers check-headers check-format check-docs check-units: check-%: all
	$(Q)tests/static/$*

bench: all tools
	$(Q)tests/bench/run --build $B $(BENCH)

# ---------------------------------------------------------------- the rest

sources := $(sort $(shell find proto daemon cli tests -name '*.[ch]'))

.PHONY: format help clean
format:
	clang-format -i $(sources)

# ---------------------------------------------------------------- install

.PHONY: install
install: all
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(sbindir) \
		$(DESTDIR)$(datadir)/schemas $(DESTDIR)$(unitdir) \
		$(DESTDIR)$(completiondir) $(DESTDIR)$(sysconfdir)/oim \
		$(DESTDIR)$(prefix)/lib/sysusers.d \
		$(DESTDIR)$(prefix)/lib/tmpfiles.d \
		$(foreach n,1 5 8,$(DESTDIR)$(mandir)/man$n)
	install $B/oimd $(DESTDIR)$(sbindir)
	install $B/oimctl $(DESTDIR)$(bindir)
	install scripts/oim-cert $(DESTDIR)$(sbindir)
	install -m 644 completions/oimctl $(DESTDIR)$(completiondir)
	install -m 644 cli/schemas/*.json $(DESTDIR)$(datadir)/schemas
	$(foreach n,1 5 8,install -m 644 man/*.$n \
		$(DESTDIR)$(mandir)/man$n &&) true
	install -m 644 daemon/units/oim.sysusers \
		$(DESTDIR)$(prefix)/lib/sysusers.d/oim.conf
	install -m 644 daemon/units/oim.tmpfiles \
		$(DESTDIR)$(prefix)/lib/tmpfiles.d/oim.conf
	for u in oimd oim-node; do \
		sed 's#@sbindir@#$(sbindir)#; s#@sysconfdir@#$(sysconfdir)#' \
			daemon/units/$$u.service \
			>$(DESTDIR)$(unitdir)/$$u.service || exit 1; \
	done
	# What an administrator may have changed stays.
	for f in oimd.conf node.conf; do \
		[ -e $(DESTDIR)$(sysconfdir)/oim/$$f ] || \
			install -m 644 daemon/units/$$f \
				$(DESTDIR)$(sysconfdir)/oim || exit 1; \
	done

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

clean:
	rm -rf build build-san build-cov build-fuzz
