# SPDX-License-Identifier: GPL-2.0-only
#
# The project's commands, one target each; "make help" lists them. How the
# modules are built is in Kbuild, what happens in virtual machines in tools/vm.

PREFIX ?= /usr/local
DESTDIR ?=

# The kernel to build for: the running one, else the newest with headers here.
# Where there is none, that of Debian's cloud kernel, unpacked into the cache.
KDIR ?= $(firstword $(wildcard /lib/modules/$(shell uname -r)/build/Makefile) \
	$(shell ls -d /lib/modules/*/build/Makefile /usr/src/linux-headers-*/Module.symvers \
		2>/dev/null | sort -rV))
kdir = $(patsubst %/Makefile,%,$(patsubst %/Module.symvers,%,$(KDIR)))

# For recipes: the same, once it is known to be there.
find_kdir = kdir='$(kdir)'; [ -e "$$kdir/Makefile" ] || kdir=$$(tools/vm/vm kdir stock)

all: modules tools

modules: packages
	$(find_kdir) && $(MAKE) -C "$$kdir" M=$(CURDIR) modules

tools: packages
	$(MAKE) -C tools/nurseryctl

install: all
	$(find_kdir) && \
	$(MAKE) -C "$$kdir" M=$(CURDIR) $(if $(DESTDIR),INSTALL_MOD_PATH=$(DESTDIR)) \
		modules_install && \
	{ [ -n '$(DESTDIR)' ] || depmod -a "$$($(MAKE) -s -C "$$kdir" kernelrelease)"; }
	$(MAKE) -C tools/nurseryctl install PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)

demo:
	@tools/vm/demo

devices:
	@tools/vm/devices

check:
	@tools/vm/check $(TESTS)

bench:
	@tools/bench/bench

# What is given on make's command line; see tools/stress for more.
SECONDS = 60
SEED = 1

bench-nvme:
	@tools/bench/nvme

stress:
	@tools/stress --seconds '$(SECONDS)' --seed '$(SEED)'

bench-instructions:
	@tools/bench/instructions-per-child $(if $(UPDATE),--update)

# Of the nursery halves; each raw half goes on until it is caught.
ROUNDS = 100

bugs:
	@tools/bugs --rounds '$(ROUNDS)' $(if $(UPDATE),--update) $(PAIRS)

lint:
	@tools/lint

vm:
	@tools/vm/vm shell

clean:
	$(if $(wildcard $(kdir)/Makefile),$(MAKE) -C $(kdir) M=$(CURDIR) clean)
	$(MAKE) -C tools/nurseryctl clean

# A compiler and the json-c library; without them, Debian's are installed.
packages:
	@echo '#include <json-c/json.h>' | $(CC) -E -o /dev/null - 2>/dev/null || \
		tools/vm/vm packages

help:
	@echo 'make                 modules and tools, against KDIR (now: $(or $(kdir),stock Debian))'
	@echo 'make modules, tools  one of the two'
	@echo 'make install         install both; DESTDIR and PREFIX are honoured'
	@echo 'make demo            see it work: a file through real DMA, in a virtual machine'
	@echo 'make check           all tests, in virtual machines; TESTS="kunit abi" for some'
	@echo 'make devices         devices come and go, a hundred times in each way: an hour'
	@echo 'make bench           nurseries and their peers measured, in virtual machines'
	@echo 'make stress          random trees of nurseries; SECONDS=60 SEED=1 KERNEL=debug, kcsan, ...'
	@echo 'make bench-instructions  instructions per child, beside the table of them; UPDATE=1'
	@echo 'make bugs            bugs as found upstream, caught, and on a nursery; PAIRS="r1 r5" UPDATE=1'
	@echo 'make bench-nvme      the NVMe sample beside the driver of the kernel'
	@echo 'make lint            checkpatch, sparse, kernel-doc, shellcheck'
	@echo 'make vm              a shell in a virtual machine; KERNEL=stock or debug'
	@echo 'make clean           remove what was built here'
	@echo
	@echo 'demo, check, bench, stress, bugs, lint and vm install what Debian packages they need and keep the rest'
	@echo 'in $${NURSERY_CACHE:-$${XDG_CACHE_HOME:-~/.cache}/nursery}; "tools/vm/vm clean" empties it.'

.PHONY: all modules tools install demo check devices bench bench-instructions bench-nvme stress bugs lint vm clean packages help
