#!/usr/bin/env bash
# Fuzzes every reader of the import crate: each target for SECONDS, from a corpus that begins with the tests' fixtures and is
# kept in target/fuzz/. Fails if an input crashes a reader, takes 10 s, or takes 1 GiB, and says where the input is.
#
#   infra/fuzz.sh SECONDS [TARGET…]
#
# libFuzzer with the pinned stable compiler: coverage comes from LLVM's own pass, so no nightly and no cargo-fuzz is needed.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?usage: infra/fuzz.sh SECONDS [TARGET…]}
shift
package=crates/import/fuzz
work=$PWD/target/fuzz
mapfile -t targets < <(if (($#)); then printf '%s\n' "$@"; else sed -n '/^\[\[bin\]\]/,/^$/s/^name = "\(.*\)"/\1/p' $package/Cargo.toml; fi)

# The longest input, in bytes: three times the longest fixture; more is slower and seldom new.
max_len=4096

host=$(rustc -vV | sed -n 's/^host: //p')
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
# The target is named so that build scripts, which have no fuzzer to report to, are not instrumented.
RUSTC_BOOTSTRAP=1 RUSTFLAGS="$coverage --cfg fuzzing -Cdebug-assertions -Coverflow-checks" \
    ${CARGO:-cargo} build --release --locked --manifest-path $package/Cargo.toml --target "$host" --target-dir "$work"

failed=0
for target in "${targets[@]}"; do
    corpus=$work/corpus/$target crashes=$work/crashes/$target
    mkdir -p "$corpus" "$crashes"
    # The fixtures stand in the folder of the target's name.
    find "crates/import/tests/$target" -type f ! -name '*.rs' -size -${max_len}c -exec cp {} "$corpus" \;
    echo "fuzz: $target for $seconds s"
    if ! "$work/$host/release/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=$max_len \
        -artifact_prefix="$crashes/" -print_final_stats=1 -verbosity=0 "$corpus" 2>"$work/$target.log"; then
        failed=1
        grep -aE 'panicked|ERROR|Test unit written' -A1 "$work/$target.log" >&2 || tail -20 "$work/$target.log" >&2
        echo "fuzz: $target failed; the input is in $crashes, the log in $work/$target.log" >&2
    else
        grep -aE 'number_of_executed_units|new_units_added|slowest_unit|peak_rss' "$work/$target.log"
    fi
done
exit $failed
