# What a person types. Each target installs what it needs first.

.PHONY: demo test build lint bench vm-test clean

# A web server in a container, from nothing to its removal.
demo:
	@scripts/demo.sh

# Everything that must hold.
test:
	@scripts/test.sh

# The six programs, in target/dist.
build:
	@scripts/setup.sh build
	@scripts/build.sh release

# What needs no kernel: formats, lints, house rules, licences.
lint:
	@scripts/setup.sh build
	@scripts/lint.sh

# Brig beside other engines, into docs/benchmarks.md.
bench:
	@scripts/setup.sh bench
	@scripts/images.sh test
	@scripts/build.sh release
	@cargo xtask bench

# All tests that touch the kernel, with cgroup v2 only, in a virtual machine.
vm-test:
	@scripts/setup.sh test
	@scripts/images.sh test
	@cargo xtask vm-test

clean:
	@cargo clean
	@rm -rf .cache
