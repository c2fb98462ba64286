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
V        ?=
Q        := $(if $(V),,@)
say       = $(if $(V),,@printf '  %-8s %s\n' $(1) $(patsubst $(BUILD)/%,%,$@))
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
	$(call say,PROTOC)
	$(Q)protoc-c --c_out=$(BUILD)/gen $<

$(proto_object): $(BUILD)/gen/proto/wasmpool.pb-c.c
	$(call say,CC)
	$(Q)$(CC) $(OURS) $(CFLAGS) -c -o $@ $<

# ------------------------------------------------------------------------------------------------ objects

$(BUILD)/%.o: %.c | $(BUILD)/gen/proto/wasmpool.pb-c.h
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(OURS) $(CFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

$(BUILD)/internal-%.a:
	$(call say,AR)
	@rm -f $@
	$(Q)ar crs $@ $^

# What tests link: everything visible, nothing hidden.
$(BUILD)/internal-shared.a: $(shared_objects)
$(BUILD)/internal-client.a: $(client_objects)
$(BUILD)/internal-daemon.a: $(daemon_objects)

# What users link: one object in which only the names of client/wasmpool.map are visible.
$(BUILD)/libwasmpool.o: $(client_objects) $(shared_objects) client/wasmpool.map
	$(call say,LD)
	$(Q)ld -r -o $@.all $(client_objects) $(shared_objects)
	$(Q)sed -n 's/^ *\(wasmpool_[a-z0-9_]*\);$$/\1/p' client/wasmpool.map >$@.names
	$(Q)objcopy --keep-global-symbols=$@.names $@.all $@

$(BUILD)/libwasmpool.a: $(BUILD)/libwasmpool.o
	$(call say,AR)
	@rm -f $@
	$(Q)ar crs $@ $<

$(BUILD)/$(SONAME): $(client_objects) $(shared_objects) client/wasmpool.map
	$(call say,LINK)
	$(Q)$(LINK) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=client/wasmpool.map -o $@ \
	    $(client_objects) $(shared_objects) $(proto_libs)
	$(Q)ln -sf $(SONAME) $(BUILD)/libwasmpool.so

$(BUILD)/wasmpoold: $(BUILD)/daemon/main.o $(daemon_objects) $(shared_objects)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(daemon_libs)

$(BUILD)/wasmpoolctl: $(call objects,$(ctl_sources)) $(BUILD)/internal-client.a $(BUILD)/internal-shared.a
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(json_libs) $(proto_libs)

# ------------------------------------------------------------------------------------------------ wasmpool-thumbs

thumbs         := client/examples/thumbs
thumbs_gen     := $(BUILD)/gen/thumbs
thumbs_cflags  := -Iclient/wasm2c -isystem /usr/include/stb -DTHUMBS_WASM='"$(thumbs_gen)/thumbs.wasm"'
thumbs_objects := $(call objects,$(addprefix $(thumbs)/,main.c supervisor.c events.c child.c job.c images.c worker.c sandbox.c \
                  wasi.c audit.c oracle.c thumb.c report.c report-json.c)) \
                  $(thumbs_gen)/thumbs.o $(BUILD)/client/wasm2c/wasm-rt-impl.o

$(thumbs_gen)/thumbs.wasm: $(thumbs)/guest.c $(thumbs)/thumb.c $(thumbs)/thumb.h
	@mkdir -p $(@D)
	$(call say,WASM)
	$(Q)clang --target=wasm32-wasi -O2 -mexec-model=reactor -Wall -Wextra -Wno-infinite-recursion -isystem /usr/include/stb \
	    -Wl,--export-table,--max-memory=1073741824 -o $@ $(thumbs)/guest.c $(thumbs)/thumb.c

$(thumbs_gen)/%.c $(thumbs_gen)/%.h: $(thumbs_gen)/%.wasm
	$(call say,WASM2C)
	$(Q)wasm2c -n $* -o $(thumbs_gen)/$*.c $<

# Never with sanitizers: out-of-bounds accesses are how the generated code checks its bounds.
$(thumbs_gen)/%.o: $(thumbs_gen)/%.c
	$(call say,CC)
	$(Q)$(CC) -O2 -fPIC -fno-optimize-sibling-calls -frounding-math -fsignaling-nans -w -Iclient/wasm2c -c -o $@ $<

$(BUILD)/$(thumbs)/%.o: OURS += $(thumbs_cflags)
# The same arithmetic as the guest's: nothing fused.
$(BUILD)/$(thumbs)/thumb.o: OURS += -ffp-contract=off
$(BUILD)/$(thumbs)/sandbox.o: $(thumbs_gen)/thumbs.wasm $(thumbs_gen)/thumbs.h

$(BUILD)/thumbs-images: $(call objects,$(addprefix $(thumbs)/,make-images.c scenes.c job.c))
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^

$(BUILD)/wasmpool-thumbs: $(thumbs_objects) $(BUILD)/libwasmpool.a
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(json_libs) $(proto_libs) -lm

## clean           remove everything that was built
clean:
	rm -rf build

## help            this list
help:
	@echo "wasmpool $(VERSION). Targets:"; sed -n 's/^## /  make /p' $(MAKEFILE_LIST)
	@echo "Variables: BUILD, CC, CFLAGS, PREFIX, DESTDIR, SANITIZE=address,undefined or SANITIZE=thread"
