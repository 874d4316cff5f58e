# The two commands of the README. Everything else is plain cargo.
CARGO ?= cargo
VITRINE = "$$($(CARGO) metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/vitrine"

.PHONY: run test
run:
	.ci/setup run
	$(CARGO) build --release --locked -p vitrine
	$(VITRINE)

test:
	.ci/setup test
	$(CARGO) build --release --locked --workspace --all-targets
	for image in debian-riscv64 disk-riscv64 firmware-riscv64 installer-riscv64; do $(VITRINE) images fetch $$image || exit 1; done
	$(CARGO) test --release --locked --workspace
