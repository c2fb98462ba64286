# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# `make help` lists the targets. Everything that is built lies under $(BUILD).

VERSION  := 0.1.0
SONAME   := libwasmpool.so.0
PREFIX   ?= /usr/local
DESTDIR  ?=
SANITIZE ?=
BUILD    ?= build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))
comma    := ,

CC       ?= gcc
CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Werror=implicit
OURS     := -std=gnu17 -D_GNU_SOURCE -fPIC -fvisibility=hidden -pthread -DWASMPOOL_VERSION='"$(VERSION)"' \
            -I. -I$(BUILD)/gen -Iclient $(WARNINGS) $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer)
LINK      = $(CC) $(CFLAGS) $(LDFLAGS) -pthread $(if $(SANITIZE),-fsanitize=$(SANITIZE))
export ASAN_OPTIONS  ?= detect_stack_use_after_return=0
export TSAN_OPTIONS  ?= halt_on_error=0:exitcode=66
export UBSAN_OPTIONS ?= halt_on_error=1:print_stacktrace=1

# Debian packages: to build and to run the tests and the demonstration.
PACKAGES := gcc libc6-dev pkg-config libuv1-dev libprotobuf-c-dev protobuf-c-compiler libinih-dev libsystemd-dev libjansson-dev \
            libcriterion-dev scdoc strace binutils \
            wabt clang lld wasi-libc libclang-rt-14-dev-wasm32 libstb-dev

shared_sources := $(wildcard shared/*.c)
client_sources := $(wildcard client/*.c)
daemon_sources := $(filter-out daemon/main.c,$(wildcard daemon/*.c))
ctl_sources    := $(wildcard client/ctl/*.c)

objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
proto_object := $(BUILD)/gen/proto/wasmpool.pb-c.o
shared_objects := $(call objects,$(shared_sources)) $(proto_object)
client_objects := $(call objects,$(client_sources))
daemon_objects := $(call objects,$(daemon_sources))

# Evaluated when first used, which is after `deps` has installed them.
proto_libs     = $(shell pkg-config --libs libprotobuf-c)
daemon_libs    = $(shell pkg-config --libs libuv libsystemd inih) $(proto_libs)
json_libs      = $(shell pkg-config --libs jansson)
criterion_libs = $(shell pkg-config --libs criterion)

programs := $(BUILD)/wasmpoold $(BUILD)/wasmpoolctl
libraries := $(BUILD)/libwasmpool.a $(BUILD)/$(SONAME)

.DEFAULT_GOAL := all
.PHONY: all build deps help clean
.SECONDARY:
.DELETE_ON_ERROR:

## all             build the daemon, the library, wasmpoolctl and wasmpool-thumbs (the default)
all: deps
	@$(MAKE) --no-print-directory build

build: $(programs) $(libraries)

## deps            install what is missing from Debian's packages, or print the list
deps:
	@missing=$$(for p in $(PACKAGES); do dpkg-query -W -f='$${Status}\n' $$p 2>/dev/null | grep -q '^install ok installed' \
	    || printf '%s ' $$p; done); \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ]; then run=; elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then run=sudo; \
	else echo "make deps: these Debian packages are missing: $$missing" >&2; \
	     echo "install them with: apt-get install --no-install-recommends $$missing" >&2; exit 1; fi; \
	echo "make deps: installing $$missing"; \
	{ $$run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null 2>&1 || \
	  { $$run apt-get update -qq && \
	    $$run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; }; }

# ------------------------------------------------------------------------------------------------ generated

$(BUILD)/gen/proto/%.pb-c.c $(BUILD)/gen/proto/%.pb-c.h: proto/%.proto
	@mkdir -p $(BUILD)/gen
	protoc-c --c_out=$(BUILD)/gen $<

$(proto_object): $(BUILD)/gen/proto/wasmpool.pb-c.c
	$(CC) $(OURS) $(CFLAGS) -c -o $@ $<

# ------------------------------------------------------------------------------------------------ objects

$(BUILD)/%.o: %.c | $(BUILD)/gen/proto/wasmpool.pb-c.h
	@mkdir -p $(@D)
	$(CC) $(OURS) $(CFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

$(BUILD)/internal-%.a:
	@rm -f $@
	ar crs $@ $^

# What tests link: everything visible, nothing hidden.
$(BUILD)/internal-shared.a: $(shared_objects)
$(BUILD)/internal-client.a: $(client_objects)
$(BUILD)/internal-daemon.a: $(daemon_objects)

# What users link: one object in which only the names of client/wasmpool.map are visible.
$(BUILD)/libwasmpool.o: $(client_objects) $(shared_objects) client/wasmpool.map
	ld -r -o $@.all $(client_objects) $(shared_objects)
	sed -n 's/^ *\(wasmpool_[a-z0-9_]*\);$$/\1/p' client/wasmpool.map >$@.names
	objcopy --keep-global-symbols=$@.names $@.all $@

$(BUILD)/libwasmpool.a: $(BUILD)/libwasmpool.o
	@rm -f $@
	ar crs $@ $<

$(BUILD)/$(SONAME): $(client_objects) $(shared_objects) client/wasmpool.map
	$(LINK) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=client/wasmpool.map -o $@ \
	    $(client_objects) $(shared_objects) $(proto_libs)
	ln -sf $(SONAME) $(BUILD)/libwasmpool.so

$(BUILD)/wasmpoold: $(BUILD)/daemon/main.o $(daemon_objects) $(shared_objects)
	$(LINK) -o $@ $^ $(daemon_libs)

$(BUILD)/wasmpoolctl: $(call objects,$(ctl_sources)) $(BUILD)/internal-client.a $(BUILD)/internal-shared.a
	$(LINK) -o $@ $^ $(json_libs) $(proto_libs)

## clean           remove everything that was built
clean:
	rm -rf build

## help            this list
help:
	@echo "wasmpool $(VERSION). Targets:"; sed -n 's/^## /  make /p' $(MAKEFILE_LIST)
	@echo "Variables: BUILD, CC, CFLAGS, PREFIX, DESTDIR, SANITIZE=address,undefined or SANITIZE=thread"
