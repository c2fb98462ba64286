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
# Of make's own options, single letters come first, as one word.
silent    = $(findstring s,$(firstword -$(MAKEFLAGS)))
say       = $(if $(V)$(silent),,@printf '  %-8s %s\n' $(1) $(patsubst $(BUILD)/%,%,$@))
LINK      = $(CC) $(CFLAGS) $(LDFLAGS) -pthread $(if $(SANITIZE),-fsanitize=$(SANITIZE))
export ASAN_OPTIONS  ?= detect_stack_use_after_return=0
export TSAN_OPTIONS  ?= halt_on_error=0:exitcode=66
export UBSAN_OPTIONS ?= halt_on_error=1:print_stacktrace=1

# Debian packages: to build and to run the tests and the demonstration.
PACKAGES := gcc libc6-dev pkg-config libuv1-dev libprotobuf-c-dev protobuf-c-compiler libinih-dev libsystemd-dev libjansson-dev \
            libsodium-dev libcriterion-dev scdoc strace binutils systemd \
            wabt g++ clang lld wasi-libc libclang-rt-14-dev libclang-rt-14-dev-wasm32 libstb-dev

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
# What shared/ needs: who links it, links these.
proto_libs     = $(shell pkg-config --libs libprotobuf-c libsodium)
daemon_libs    = $(shell pkg-config --libs libuv libsystemd inih) $(proto_libs)
json_libs      = $(shell pkg-config --libs jansson)
criterion_libs = $(shell pkg-config --libs criterion)

programs := $(BUILD)/wasmpoold $(BUILD)/wasmpoolctl $(BUILD)/wasmpool-thumbs
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

# Not cargo's: it keeps its own.
-include $(shell find $(BUILD) -name cargo -prune -o -name '*.d' -print 2>/dev/null)

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
# stb shifts into sign bits and the like; what becomes of it is what the sandbox is for.
$(BUILD)/$(thumbs)/thumb.o $(BUILD)/$(thumbs)/make-images.o: OURS += -fno-sanitize=undefined
$(BUILD)/$(thumbs)/sandbox.o: $(thumbs_gen)/thumbs.wasm $(thumbs_gen)/thumbs.h

$(BUILD)/thumbs-images: $(call objects,$(addprefix $(thumbs)/,make-images.c scenes.c job.c))
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^

$(BUILD)/thumbs-demo: $(call objects,$(addprefix $(thumbs)/,demo.c demo-process.c demo-watch.c demo-mishap.c demo-check.c))
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(json_libs)

$(BUILD)/wasmpool-thumbs: $(thumbs_objects) $(BUILD)/libwasmpool.a
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(json_libs) $(proto_libs) -lm

$(BUILD)/tests/client/thumbs/%.o: OURS += $(thumbs_cflags)
$(BUILD)/tests/client/thumbs/test-thumbs: $(call objects,$(wildcard tests/client/thumbs/*.c) tests/support/leak.c \
                                          $(addprefix $(thumbs)/,wasi.c images.c))
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(criterion_libs)

.PHONY: demo demo-run check-thumbs

## demo            thumbnails of untrusted images in sandboxes, watched and checked; KILL=worker, KILL=daemon, LIMIT=2
demo: deps
	@$(MAKE) --no-print-directory demo-run

demo-run: $(BUILD)/thumbs-demo $(BUILD)/thumbs-images $(programs)
	@$(BUILD)/thumbs-demo $(if $(KILL),--kill $(KILL)) $(if $(LIMIT),--limit $(LIMIT)) $(BUILD) $(thumbs)/gif

check-thumbs: $(BUILD)/tests/client/thumbs/test-thumbs $(BUILD)/wasmpool-thumbs $(BUILD)/thumbs-images
	@$(BUILD)/tests/client/thumbs/test-thumbs
	@tests/e2e/thumbs.sh $(BUILD)

# ------------------------------------------------------------------------------------------------ burst-demo

burst := client/examples/burst

$(BUILD)/burst-demo: $(call objects,$(addprefix $(burst)/,demo.c worker.c tenant.c watch.c) $(thumbs)/demo-process.c) \
                     $(BUILD)/libwasmpool.a
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(json_libs) $(proto_libs)

.PHONY: demo-burst demo-burst-run

## demo-burst      workers burst in turn to all that one pool has, taking it from others that are stopped; watched and checked
demo-burst: deps
	@$(MAKE) --no-print-directory demo-burst-run

demo-burst-run: $(BUILD)/burst-demo $(BUILD)/wasmpoold $(BUILD)/wasmpoolctl
	@$(BUILD)/burst-demo $(BUILD)

# ------------------------------------------------------------------------------------------------ wasm2c runtime, tests/wasm

wasm2c_flags  := -Iclient/wasm2c -Itests/wasm
wasm_suites   := $(patsubst tests/wasm/%.wast,%,$(wildcard tests/wasm/*.wast))
wasm_programs  = $(wasm_suites:%=$(BUILD)/tests/wasm/$(1)/%)
wasm_calls    := allocate_memory grow_memory free_memory allocate_funcref_table grow_funcref_table free_funcref_table \
                 allocate_externref_table grow_externref_table free_externref_table free
wasm2c_client := $(BUILD)/client/wasm2c/wasm-rt-impl.o $(BUILD)/libwasmpool.a

$(BUILD)/client/wasm2c/%.o $(BUILD)/tests/wasm/%.o: OURS += $(wasm2c_flags)
$(BUILD)/tests/client/wasm2c/%.o $(BUILD)/tests/stress/wasm2c-%.o: OURS += $(wasm2c_flags)

$(BUILD)/libwasmpool-wasm2c-wrap.a: $(BUILD)/client/wasm2c/wrap.o
	$(call say,AR)
	@rm -f $@
	$(Q)ar crs $@ $<

$(BUILD)/tests/wasm/generate: $(BUILD)/tests/wasm/generate.o
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(json_libs)

# Never with sanitizers, as above.
$(BUILD)/tests/wasm/%.a: tests/wasm/%.wast tests/wasm/translate.sh tests/wasm/host.h $(BUILD)/tests/wasm/generate
	$(call say,WAST)
	$(Q)CC='$(CC)' GUEST_CFLAGS='-std=gnu17 -O1 -fno-optimize-sibling-calls -frounding-math -fsignaling-nans -w $(wasm2c_flags)' \
	    tests/wasm/translate.sh $(BUILD)/tests/wasm/generate $< $(BUILD)/gen/wast/$* $@

# Each .wast file three times: with the runtime, with the sabotaged one, and with Debian's under the linker's --wrap.
$(BUILD)/tests/wasm/plain/%: $(BUILD)/tests/wasm/%.a $(BUILD)/tests/wasm/host.o $(wasm2c_client)
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ -Wl,--whole-archive $< -Wl,--no-whole-archive $(filter-out $<,$^) $(proto_libs) -lm

$(BUILD)/tests/wasm/sabotaged/%: $(BUILD)/tests/wasm/%.a $(BUILD)/tests/wasm/host.o $(BUILD)/tests/wasm/sabotage.o \
                                 $(BUILD)/libwasmpool.a
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ -Wl,--whole-archive $< -Wl,--no-whole-archive $(filter-out $<,$^) $(proto_libs) -lm

$(BUILD)/tests/wasm/wrapped/%: $(BUILD)/tests/wasm/%.a $(BUILD)/tests/wasm/host-of-debian.o \
                               $(BUILD)/libwasmpool-wasm2c-wrap.a $(BUILD)/libwasmpool.a
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ -Wl,--whole-archive $< -Wl,--no-whole-archive $(filter-out $<,$^) \
	    $(wasm_calls:%=-Wl,--wrap=wasm_rt_%) -lwasm-rt-impl $(proto_libs) -lm

$(BUILD)/tests/wasm/host-of-debian.o: tests/wasm/host.c tests/wasm/host.h | $(BUILD)/gen/proto/wasmpool.pb-c.h
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -I/usr/src/wasm2c $(OURS) $(CFLAGS) $(CPPFLAGS) -c -o $@ $<

$(BUILD)/tests/client/wasm2c/test-runtime: $(BUILD)/tests/client/wasm2c/test-runtime.o $(BUILD)/tests/support/leak.o \
                                           $(wasm2c_client)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(proto_libs) $(criterion_libs)

$(BUILD)/tests/stress/wasm2c-threads: $(BUILD)/tests/stress/wasm2c-threads.o $(wasm2c_client)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(proto_libs)

.PHONY: check-wasm check-wasm-wrap check-wasm-sabotage check-wasm-spec

## check-wasm      real WebAssembly from .wast files, on both implementations (or on WASMPOOL_ADDRESS alone)
check-wasm: $(call wasm_programs,plain) $(BUILD)/wasmpoold
	@tests/wasm/run.sh $(BUILD)/wasmpoold $(call wasm_programs,plain)

# The .wast files on instances of the library, run by an interpreter that knows its public header alone.
executor     := $(BUILD)/tests/wasm/executor/execute
executor_gen := $(BUILD)/gen/executor

$(executor): $(call objects,$(wildcard tests/wasm/executor/*.c)) $(BUILD)/libwasmpool.a
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(json_libs) $(proto_libs) -lm

$(executor_gen)/spectest.wasm: tests/wasm/executor/spectest.wat
	@mkdir -p $(@D)
	$(Q)wat2wasm $< -o $@

$(executor_gen)/%.json: tests/wasm/%.wast
	@mkdir -p $(@D)
	$(call say,WAST)
	$(Q)wast2json --enable-multi-memory --enable-extended-const --enable-exceptions $< -o $@

# One program for each file, as run.sh wants it.
$(BUILD)/tests/wasm/executed/%: $(executor_gen)/%.json $(executor_gen)/spectest.wasm $(executor)
	@mkdir -p $(@D)
	$(Q)printf '#!/bin/sh\nexec %s %s %s\n' $(abspath $(executor) $(executor_gen)/spectest.wasm $<) >$@
	$(Q)chmod +x $@

.PHONY: check-wasm-executor

# Those in linked/ hold what wasm2c cannot run.
executed_programs = $(call wasm_programs,executed) \
                    $(patsubst tests/wasm/%.wast,$(BUILD)/tests/wasm/executed/%,$(wildcard tests/wasm/linked/*.wast))

## check-wasm-executor  the same files and linked/, interpreted on instances of the library, on both implementations
check-wasm-executor: $(executed_programs) $(BUILD)/wasmpoold
	@tests/wasm/run.sh $(BUILD)/wasmpoold $(executed_programs)

# The same over Debian's libwasm-rt-impl.a.
check-wasm-wrap: $(call wasm_programs,wrapped)
	@WASMPOOL_ADDRESS=embedded: tests/wasm/run.sh $(BUILD)/wasmpoold $(call wasm_programs,wrapped)

# Each defect that a runtime could have is noticed.
check-wasm-sabotage: $(call wasm_programs,sabotaged)
	@tests/wasm/sabotage.sh $(call wasm_programs,sabotaged)

# wabt's own harness over WASM_SPEC_DIR and over our files.
check-wasm-spec: $(BUILD)/libwasmpool.a
	@BUILD=$(BUILD) CC='$(CC)' tests/wasm/spec.sh

# ------------------------------------------------------------------------------------------------ tests/wabt, tests/fuzz

# Without sanitizers, as libwabt is.
$(BUILD)/tests/wabt/wabt.o: tests/wabt/wabt.cc tests/wabt/facts.h
	@mkdir -p $(@D)
	$(call say,CXX)
	$(Q)$(CXX) -std=c++17 -O2 -g -Wall -Wextra -I. -c -o $@ $<

fuzz_modules := $(call objects,$(addprefix tests/fuzz/,bytes.c sample.c mutant.c))
fuzz_target  := $(addprefix tests/fuzz/,bytes.c sample.c mutant.c promise.c target.c)

$(BUILD)/tests/wabt/compare: $(call objects,$(wildcard tests/wabt/*.c)) $(BUILD)/tests/wabt/wabt.o $(fuzz_modules) \
                             $(BUILD)/internal-client.a $(BUILD)/internal-shared.a
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ -lwabt -lstdc++ $(proto_libs)

$(BUILD)/tests/fuzz/seeds: $(BUILD)/tests/fuzz/seeds.o $(fuzz_modules)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^

$(BUILD)/tests/fuzz/replay: $(call objects,tests/fuzz/replay.c $(fuzz_target)) $(BUILD)/internal-client.a \
                            $(BUILD)/internal-shared.a
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(proto_libs)

# libFuzzer is clang's; gcov is gcc's. clang 14 minds NULL + 0, which gcc and newer C do not.
fuzz_flags    := $(filter-out -fsanitize=% -DWASMPOOL_VERSION=%,$(OURS)) -O1 -g
FUZZ_CC       := clang $(fuzz_flags) -fsanitize=address,undefined -fno-sanitize=pointer-overflow \
                 -fno-sanitize-recover=undefined -fno-omit-frame-pointer
coverage_cc   := gcc $(fuzz_flags) -O0 --coverage
fuzz_sources  := $(client_sources) $(shared_sources) $(fuzz_target)
fuzz_objects  := $(patsubst %.c,$(BUILD)/fuzz/obj/%.o,$(fuzz_sources) tests/fuzz/libfuzzer.c)
coverage_objects := $(patsubst %.c,$(BUILD)/fuzz/coverage/%.o,$(fuzz_sources) tests/fuzz/replay.c)
fuzz_needs    := $(BUILD)/fuzz/reader $(BUILD)/tests/fuzz/seeds
export FUZZ_CC
SECONDS ?= 60

$(BUILD)/fuzz/obj/%.o: %.c | $(BUILD)/gen/proto/wasmpool.pb-c.h
	@mkdir -p $(@D)
	$(call say,FUZZ)
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(BUILD)/fuzz/coverage/%.o: %.c | $(BUILD)/gen/proto/wasmpool.pb-c.h
	@mkdir -p $(@D)
	$(call say,COVERAGE)
	$(Q)$(coverage_cc) -MMD -MP -c -o $@ $<

$(BUILD)/fuzz/reader: $(fuzz_objects) $(proto_object)
	$(call say,LINK)
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer -o $@ $^ $(proto_libs)

$(BUILD)/fuzz/coverage/replay: $(coverage_objects) $(proto_object)
	$(call say,LINK)
	$(Q)$(coverage_cc) -o $@ $^ $(proto_libs)

.PHONY: fuzz fuzz-run fuzz-planted fuzz-planted-run

## fuzz            libFuzzer over the module reader for SECONDS (60), and which of its lines that runs through
fuzz: deps
	@$(MAKE) --no-print-directory fuzz-run

fuzz-run: $(fuzz_needs) $(BUILD)/fuzz/coverage/replay
	@tests/fuzz/fuzz.sh $(BUILD) $(SECONDS)

## fuzz-planted    each bug that is planted in the reader is found by it
fuzz-planted: deps
	@$(MAKE) --no-print-directory fuzz-planted-run

fuzz-planted-run: $(fuzz_needs)
	@tests/fuzz/planted.sh $(BUILD)

# ------------------------------------------------------------------------------------------------ model

# Daemon and client once more, recording each edge that they walk: see tests/model/trace.h.
traced         = $(patsubst $(BUILD)/%,$(BUILD)/traced/%,$(filter-out $(proto_object),$(1)))
traced_shared := $(call traced,$(shared_objects) $(BUILD)/tests/model/trace.o) $(proto_object)
trace_programs := $(BUILD)/traced/wasmpoold $(BUILD)/traced/fleet $(BUILD)/traced/wait-threads $(BUILD)/tests/model/replay

$(BUILD)/traced/%.o: %.c | $(BUILD)/gen/proto/wasmpool.pb-c.h
	@mkdir -p $(@D)
	$(call say,TRACED)
	$(Q)$(CC) $(OURS) -DLEASE_TRACE $(CFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/traced/wasmpoold: $(call traced,$(BUILD)/daemon/main.o $(daemon_objects)) $(traced_shared)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(daemon_libs)

$(BUILD)/traced/fleet: $(BUILD)/traced/tests/model/fleet.o
$(BUILD)/traced/wait-threads: $(BUILD)/traced/tests/stress/wait-threads.o
$(BUILD)/traced/fleet $(BUILD)/traced/wait-threads: $(call traced,$(client_objects)) $(traced_shared) $(BUILD)/internal-tests.a
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(proto_libs)

$(BUILD)/tests/model/replay: $(call objects,tests/model/replay.c tests/model/path.c)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^

.PHONY: model model-run

## model           search every state of a model of the lease table, and again without each of its guards; replay traces
model:
	@$(MAKE) --no-print-directory deps PACKAGES="$(PACKAGES) spin"
	@$(MAKE) --no-print-directory model-run

model-run: $(trace_programs)
	@CC='$(CC)' tests/model/run.sh $(BUILD)
	@tests/model/trace.sh $(BUILD)

# ------------------------------------------------------------------------------------------------ bench

bench_gen     := $(BUILD)/gen/bench
bench_modules := empty memory64k memory1m table1000 data430 table17 image1m zero64m
bench_flags   := -I$(bench_gen) -I$(thumbs_gen) -I/usr/src/wasm2c

$(bench_gen)/%.wasm: tests/bench/%.wat
	@mkdir -p $(@D)
	$(call say,WASM)
	$(Q)wat2wasm $< -o $@

$(bench_gen)/%.c $(bench_gen)/%.h: $(bench_gen)/%.wasm
	$(call say,WASM2C)
	$(Q)wasm2c -n $* -o $(bench_gen)/$*.c $<

# 14 MB of data segments; functions with 1 and 200 MB of bodies, which are holes of the file.
$(bench_gen)/segments.wasm: arguments   := segments 100000 131
$(bench_gen)/bodies1m.wasm: arguments   := bodies 1000 1000
$(bench_gen)/bodies200m.wasm: arguments := bodies 1000 200000
# Memories of so many wasm pages, of zeroes and with as many bytes of data.
bench_memories := zero64k zero256k zero1m zero4m zero16m zero64m zero256m data64k data1m data16m image1m
$(bench_gen)/zero64k.wasm: arguments    := image 1 0
$(bench_gen)/zero256k.wasm: arguments   := image 4 0
$(bench_gen)/zero1m.wasm: arguments     := image 16 0
$(bench_gen)/zero4m.wasm: arguments     := image 64 0
$(bench_gen)/zero16m.wasm: arguments    := image 256 0
$(bench_gen)/zero64m.wasm: arguments    := image 1024 0
$(bench_gen)/zero256m.wasm: arguments   := image 4096 0
$(bench_gen)/data64k.wasm: arguments    := image 1 65536
$(bench_gen)/data1m.wasm: arguments     := image 16 1048576
$(bench_gen)/data16m.wasm: arguments    := image 256 16777216
$(bench_gen)/image1m.wasm: arguments    := image 32 1048576
bench_made := $(patsubst %,$(bench_gen)/%.wasm,segments bodies1m bodies200m $(bench_memories))
# Binaries that are read, or of which instances are made.
bench_wasm := $(bench_made) $(patsubst %,$(bench_gen)/%.wasm,empty memory64k data430 table17 table1000init globals100 thumbs)

$(bench_gen)/thumbs.wasm: $(thumbs_gen)/thumbs.wasm
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(bench_made): $(BUILD)/bench-make-module
	@mkdir -p $(@D)
	$(call say,WASM)
	$(Q)$(BUILD)/bench-make-module $(arguments) $@

$(BUILD)/bench-make-module: $(BUILD)/tests/bench/make-module.o
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^

$(bench_gen)/%.o: $(bench_gen)/%.c
	$(call say,CC)
	$(Q)$(CC) -O2 -fPIC -fno-optimize-sibling-calls -frounding-math -fsignaling-nans -w $(bench_flags) -c -o $@ $<

$(BUILD)/tests/bench/work-stock.o: OURS += $(bench_flags)
$(BUILD)/tests/bench/work-stock.o: $(bench_modules:%=$(bench_gen)/%.h) $(thumbs_gen)/thumbs.h

$(BUILD)/bench-cycle: $(call objects,$(wildcard tests/bench/cycle*.c tests/bench/work*.c) tests/bench/gain.c tests/bench/gang.c) \
                      $(bench_modules:%=$(bench_gen)/%.o) $(thumbs_gen)/thumbs.o $(BUILD)/libwasmpool.a
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ -lwasm-rt-impl $(proto_libs) -lm

# wasmpool-thumbs once more, over the stock runtime: its sandbox alone is compiled anew, against that one's header.
$(BUILD)/tests/bench/thumbs-stock-sandbox.o: $(thumbs)/sandbox.c $(thumbs_gen)/thumbs.wasm $(thumbs_gen)/thumbs.h
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -I/usr/src/wasm2c $(OURS) $(thumbs_cflags) $(CFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/bench-thumbs-stock: $(filter-out %/sandbox.o %/wasm-rt-impl.o,$(thumbs_objects)) $(BUILD)/tests/bench/thumbs-stock.o \
                             $(BUILD)/tests/bench/thumbs-stock-sandbox.o $(BUILD)/libwasmpool.a
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ -lwasm-rt-impl $(json_libs) $(proto_libs) -lm

$(BUILD)/bench: $(call objects,$(wildcard tests/bench/figures*.c tests/bench/report*.c) \
                                $(addprefix tests/bench/,bench.c series.c instances.c reset.c steady.c footprint.c peers.c versus.c \
                                  picture.c reading.c capacity.c gallery.c runner.c sample.c))
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(json_libs) -lm

$(BUILD)/bench-capacity: $(call objects,$(wildcard tests/bench/experiment*.c) \
                                         $(addprefix tests/support/,peer.c host.c daemon.c)) \
                         $(BUILD)/internal-client.a $(BUILD)/internal-shared.a
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(proto_libs) -lm

$(BUILD)/with-daemon: $(BUILD)/tests/bench/with-daemon.o
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^

# Wasmtime, where it is asked for: cargo knows best what is to be built again.
PEERS         ?=
bench_peers   := $(filter wasmtime,$(PEERS))
bench_wasmtime = --wasmtime $(BUILD)/bench-wasmtime --wasmtime-skipped "$$(cat $(BUILD)/bench-wasmtime.skipped 2>/dev/null)" \
                 --picture $(BUILD)/bench.svg --table $(BUILD)/bench.md
bench_versus  := empty memory64k data430 table17 image1m zero64m thumbs

.PHONY: bench bench-run bench-cycles bench-cycles-run bench-peers bench-peers-run bench-capacity bench-capacity-run \
        bench-thumbs bench-thumbs-run bench-wasmtime check-syscalls check-syscalls-run
bench_programs := $(BUILD)/with-daemon $(BUILD)/wasmpoold $(BUILD)/bench-cycle
bench_thumbs   := $(BUILD)/wasmpool-thumbs $(BUILD)/bench-thumbs-stock $(BUILD)/thumbs-images

bench-wasmtime: $(bench_versus:%=$(bench_gen)/%.wasm)
	$(call say,CARGO)
	@tests/bench/wasmtime.sh $(BUILD) $(bench_versus:%=$(bench_gen)/%)

## bench           what a cycle costs and how capacity moves; with PEERS=wasmtime beside Wasmtime; also build/bench.json
bench: deps
	@$(MAKE) --no-print-directory bench-run

bench-run bench-cycles-run bench-peers-run bench-capacity-run bench-thumbs-run: \
        $(bench_programs) $(BUILD)/bench-capacity $(BUILD)/bench $(bench_thumbs) $(bench_wasm)
	$(if $(SANITIZE),$(error a bench of instrumented code says nothing: run it without SANITIZE))
	$(if $(filter-out wasmtime,$(PEERS)),$(error PEERS may be wasmtime))
	@$(BUILD)/with-daemon $(BUILD)/wasmpoold -- $(BUILD)/bench --cycle $(BUILD)/bench-cycle --modules $(bench_gen) \
	    --capacity $(BUILD)/bench-capacity --thumbs $(BUILD)/wasmpool-thumbs \
	    --thumbs-stock $(BUILD)/bench-thumbs-stock --thumbs-images $(BUILD)/thumbs-images --gifs $(thumbs)/gif \
	    --fault-share tests/bench/fault-share.sh \
	    $(bench_options) --json $(BUILD)/$(bench_json)

bench-run: $(if $(bench_peers),bench-wasmtime)
bench-run: bench_options = $(if $(bench_peers),$(bench_wasmtime))
bench-run: bench_json := bench.json
bench-peers-run: bench-wasmtime
bench-peers-run: bench_options = --only peers $(bench_wasmtime)
bench-peers-run: bench_json := bench-peers.json
bench-cycles-run: bench_options := --only cycles
bench-cycles-run: bench_json := bench-cycles.json
bench-capacity-run: bench_options := --only capacity
bench-capacity-run: bench_json := bench-capacity.json
bench-thumbs-run: bench_options := --only thumbs
bench-thumbs-run: bench_json := bench-thumbs.json

## bench-PART      a part of it: bench-cycles, bench-peers (beside Wasmtime), bench-capacity, bench-thumbs; build/bench-PART.json
bench-cycles bench-peers bench-capacity bench-thumbs: deps
	@$(MAKE) --no-print-directory $@-run

## bench-picture   put the picture and the table of the last PEERS=wasmtime into the README
.PHONY: bench-picture
bench-picture:
	@tests/bench/picture.sh $(BUILD)

## check-syscalls  a warm cycle makes no system call, and the daemon sleeps through it
check-syscalls: deps
	@$(MAKE) --no-print-directory check-syscalls-run

check-syscalls-run: $(bench_programs)
	@$(BUILD)/with-daemon $(BUILD)/wasmpoold -- tests/bench/check-syscalls.sh $(BUILD)/bench-cycle

# ------------------------------------------------------------------------------------------------ tests

# tests/X/test-Y.c is a Criterion program of its own, tests/stress/Y.c a plain one. Those of daemon/ link the daemon, all
# others the client: both have their slab_*.
test_support  := $(call objects,$(filter-out tests/support/test-% tests/support/planted-%,$(wildcard tests/support/*.c)))
test_client   := $(patsubst %.c,$(BUILD)/%,$(wildcard $(addprefix tests/,$(addsuffix /test-*.c,support shared client e2e hostile))))
test_daemon   := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/daemon/test-*.c))
test_stress   := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/stress/*.c))
test_programs := $(test_client) $(test_daemon) $(BUILD)/tests/client/wasm2c/test-runtime \
                 $(BUILD)/tests/client/thumbs/test-thumbs

$(BUILD)/tests/support/daemon.o: OURS += -DTEST_DAEMON='"$(abspath $(BUILD))/wasmpoold"'

# Modules for tests, which find them by TEST_MODULES.
modules_gen  := $(BUILD)/gen/modules
test_modules := $(patsubst tests/client/modules/%.wat,$(modules_gen)/%.wasm,$(wildcard tests/client/modules/*.wat))

$(modules_gen)/%.wasm: tests/client/modules/%.wat
	@mkdir -p $(@D)
	$(call say,WASM)
	$(Q)wat2wasm --enable-multi-memory --enable-extended-const --enable-exceptions $< -o $@

$(BUILD)/tests/client/%.o $(BUILD)/tests/e2e/test-image.o: OURS += -DTEST_MODULES='"$(abspath $(modules_gen))"'
$(test_client): | $(test_modules)

$(BUILD)/internal-tests.a: $(test_support)

$(test_client) $(BUILD)/tests/support/planted-leak: %: %.o $(BUILD)/internal-tests.a $(BUILD)/internal-client.a \
                                                    $(BUILD)/internal-shared.a
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(criterion_libs) $(json_libs) $(proto_libs)

# Where each of these calls of the library is made to fail.
injected_calls := malloc calloc realloc aligned_alloc mmap mprotect madvise fallocate lseek memfd_create ftruncate fcntl

$(BUILD)/tests/client/test-injection: override LDFLAGS += $(injected_calls:%=-Wl,--wrap=%)

# Where what the library asks of the heap is counted.
$(BUILD)/tests/client/test-handle: override LDFLAGS += -Wl,--wrap=aligned_alloc,--wrap=free

# Where the kernel lies about written pages, and where what is asked of it is counted.
$(BUILD)/tests/client/test-tracker-failure: override LDFLAGS += -Wl,--wrap=ioctl,--wrap=getrusage
$(BUILD)/tests/client/test-request: override LDFLAGS += -Wl,--wrap=madvise

# Where a test acts between the steps of who waits: see tests/client/waiter.h.
$(addprefix $(BUILD)/tests/client/,test-demand test-wait): override LDFLAGS += -Wl,--wrap=lease_wait,--wrap=pthread_cond_init

# A daemon for which the host's PSI is what a test says.
$(BUILD)/tests/e2e/wasmpoold-other-psi: override LDFLAGS += -Wl,--wrap=psi_read,--wrap=psi_open_trigger
$(BUILD)/tests/e2e/wasmpoold-other-psi: $(BUILD)/daemon/main.o $(BUILD)/tests/e2e/other-psi.o \
                                        $(daemon_objects) $(shared_objects)
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(daemon_libs)

$(BUILD)/tests/e2e/test-psi: | $(BUILD)/tests/e2e/wasmpoold-other-psi

$(test_daemon): %: %.o $(BUILD)/internal-tests.a $(BUILD)/internal-daemon.a $(BUILD)/internal-shared.a
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(criterion_libs) $(daemon_libs)

# What the defects of tests/stress/defect.h stand in front of.
defect_calls := track_restore track_arm_again tracker_scan tracker_arm tracker_count image_find reset_switch mapping_protect \
                overlay_drop overlay_remove

$(BUILD)/tests/stress/reset-cycles: override LDFLAGS += $(defect_calls:%=-Wl,--wrap=%)

$(filter-out %/wasm2c-threads,$(test_stress)): %: %.o $(BUILD)/internal-tests.a $(BUILD)/internal-client.a \
                                               $(BUILD)/internal-shared.a
	$(call say,LINK)
	$(Q)$(LINK) -o $@ $^ $(proto_libs)

# What `check` runs behind the unit tests: programs, and commands with arguments, in quotes, with what they need.
check_programs := $(test_stress)
check_commands := "tests/client/exports.sh $(BUILD)" "tests/client/vmoffsets.sh $(BUILD)" "tests/model/trace.sh $(BUILD)"
check_needs    := $(libraries) $(trace_programs)
ifeq ($(filter thread,$(SANITIZE)),)
check_commands += "$(MAKE) -s check-wasm" "$(MAKE) -s check-wasm-executor" "$(MAKE) -s check-wasm-wrap" \
                  "$(MAKE) -s check-wasm-sabotage" "$(MAKE) -s check-wasm-spec" "$(MAKE) -s check-syscalls-run" \
                  "tests/e2e/thumbs.sh $(BUILD)" \
                  "tests/e2e/readme.sh $(BUILD) $(CC)$(if $(SANITIZE), -fsanitize=$(SANITIZE))" \
                  "tests/e2e/systemd.sh $(BUILD)"
check_commands += "tests/wabt/run.sh $(BUILD)" $(BUILD)/tests/fuzz/replay "tests/stress/defects.sh $(BUILD)"
check_needs    += $(programs) $(BUILD)/thumbs-images $(BUILD)/with-daemon $(BUILD)/tests/wabt/compare \
                  $(BUILD)/tests/fuzz/replay
endif

.PHONY: check check-run check-unit

## check           everything above but bench and demo, and all unit, stress and end-to-end tests
check: deps
	@$(MAKE) --no-print-directory check-run

# ThreadSanitizer does not work under Criterion 2.4.1: with SANITIZE=thread only tests/stress runs.
ifeq ($(filter thread,$(SANITIZE)),)
check-run: $(BUILD)/wasmpoold $(BUILD)/wasmpoolctl $(test_programs) $(BUILD)/tests/support/planted-leak $(check_programs) $(check_needs)
	+@tests/run $(test_programs) $(check_programs) $(check_commands)
else
check-run: $(BUILD)/wasmpoold $(test_stress) $(trace_programs)
	@tests/run $(test_stress) "tests/stress/planted-race.sh $(BUILD)" "tests/model/trace.sh $(BUILD)"
endif

## check-unit      the Criterion tests alone
check-unit: $(BUILD)/wasmpoold $(BUILD)/wasmpoolctl $(test_programs) $(BUILD)/tests/support/planted-leak
	@tests/run $(test_programs)

# ------------------------------------------------------------------------------------------------ install

manuals := $(patsubst %.scd,$(BUILD)/%,$(wildcard daemon/*.scd client/ctl/*.scd client/examples/thumbs/*.scd))

$(BUILD)/%: %.scd
	@mkdir -p $(@D)
	$(call say,MAN)
	$(Q)scdoc <$< >$@

# Made each time: PREFIX may be another one.
.PHONY: $(BUILD)/wasmpool.pc
$(BUILD)/wasmpool.pc:
	@mkdir -p $(@D)
	$(Q)printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include' '' 'Name: wasmpool' \
	    'Description: instance allocator for WebAssembly, shared among processes' 'Version: $(VERSION)' \
	    'Libs: -L$${libdir} -lwasmpool' 'Requires.private: libprotobuf-c libsodium' 'Cflags: -I$${includedir}' >$@

.PHONY: $(BUILD)/wasmpoold.service
$(BUILD)/wasmpoold.service: systemd/wasmpoold.service
	@mkdir -p $(@D)
	$(Q)sed 's|^ExecStart=/usr/local/|ExecStart=$(PREFIX)/|' $< >$@

## install         put programs, library, header, pkg-config file, manual pages and systemd's files under DESTDIR and PREFIX
.PHONY: install
install: all
	@$(MAKE) --no-print-directory install-run

.PHONY: install-run
install-run: $(programs) $(libraries) $(manuals) $(BUILD)/wasmpool.pc $(BUILD)/wasmpoold.service \
             $(BUILD)/libwasmpool-wasm2c-wrap.a
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin lib/pkgconfig include share/wasmpool/wasm2c \
	    share/man/man1 share/man/man5 share/man/man8 share/bash-completion/completions \
	    lib/systemd/system lib/sysusers.d lib/tmpfiles.d)
	install $(programs) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(BUILD)/libwasmpool.a $(BUILD)/libwasmpool-wasm2c-wrap.a $(DESTDIR)$(PREFIX)/lib
	install $(BUILD)/$(SONAME) $(DESTDIR)$(PREFIX)/lib
	ln -sf $(SONAME) $(DESTDIR)$(PREFIX)/lib/libwasmpool.so
	install -m 644 $(BUILD)/wasmpool.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig
	install -m 644 client/wasmpool.h client/wasm2c/wasmpool-wasm2c.h $(DESTDIR)$(PREFIX)/include
	install -m 644 $(wildcard client/wasm2c/*.c client/wasm2c/*.h) $(DESTDIR)$(PREFIX)/share/wasmpool/wasm2c
	for page in $(manuals); do install -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}; done
	install -m 644 client/ctl/wasmpoolctl.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/wasmpoolctl
	install -m 644 $(wildcard systemd/*.socket) $(BUILD)/wasmpoold.service $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 644 systemd/sysusers.d/wasmpool.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d
	install -m 644 systemd/tmpfiles.d/wasmpool.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d

## clean           remove everything that was built
clean:
	rm -rf build

## help            this list
help:
	@echo "wasmpool $(VERSION). Targets:"; sed -n 's/^## /  make /p' $(MAKEFILE_LIST)
	@echo "Variables: BUILD, CC, CFLAGS, PREFIX, DESTDIR, SANITIZE=address,undefined or SANITIZE=thread"
