# The two commands of the README. Everything else is plain cargo.
CARGO ?= cargo

.PHONY: run test
run:
	.ci/setup run
	$(CARGO) build --release --locked -p vitrine
	target=$$($(CARGO) metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'); "$$target/release/vitrine"

test:
	.ci/setup test
	$(CARGO) build --release --locked --workspace --all-targets
	for image in debian-riscv64 disk-riscv64 firmware-riscv64 installer-riscv64; do $(CARGO) run --release --locked -q -p vitrine -- images fetch $$image || exit 1; done
	$(CARGO) test --release --locked --workspace
