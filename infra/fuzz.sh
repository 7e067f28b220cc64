#!/usr/bin/env bash
# Fuzzes every reader of the import crate: each target for SECONDS, two at once, from a corpus that begins with the tests'
# fixtures and is kept in target/fuzz/. Fails if an input crashes a reader, takes 10 s, or takes 1 GiB, and says where the
# input is and how to try it again.
#
#   infra/fuzz.sh SECONDS [TARGET…]
#
# libFuzzer with the pinned stable compiler: coverage comes from LLVM's own pass, so no nightly and no cargo-fuzz is needed.
# Its driver comes from crates.io with libfuzzer-sys, and needs a C++ compiler.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?usage: infra/fuzz.sh SECONDS [TARGET…]}
shift
package=crates/import/fuzz
work=$PWD/target/fuzz
mapfile -t targets < <(if (($#)); then printf '%s\n' "$@"; else sed -n '/^\[\[bin\]\]/,/^$/s/^name = "\(.*\)"/\1/p' $package/Cargo.toml; fi)
((${#targets[@]})) || { echo "fuzz: $package/Cargo.toml names no target" >&2; exit 1; }

# The longest input, in bytes: three times the longest fixture; more is slower and seldom new.
max_len=8192
# The smallest machine that it is meant for has two cores.
at_once=2

command -v c++ >/dev/null || { echo "fuzz: no C++ compiler; infra/setup/install.sh installs one" >&2; exit 1; }
host=$(rustc -vV | sed -n 's/^host: //p')
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
echo "fuzz: building ${targets[*]}"
# The target is named so that build scripts, which have no fuzzer to report to, are not instrumented.
RUSTC_BOOTSTRAP=1 RUSTFLAGS="$coverage --cfg fuzzing -Cdebug-assertions -Coverflow-checks" \
    ${CARGO:-cargo} build --quiet --release --locked --manifest-path $package/Cargo.toml --target "$host" --target-dir "$work"

# The fixtures that a target begins with, as find's arguments.
fixtures() {
    case $1 in
        markdown) echo "crates/import/tests/markdown -name *.md" ;;
        hcl) echo "crates/import/tests/terraform/fixtures -name *.tf" ;;
        show) echo "crates/import/tests/terraform/fixtures -name *.json" ;;
        *) echo "fuzz: no target $1" >&2; exit 1 ;;
    esac
}

# The words that a reader looks for, in libFuzzer's form: texts of its own code.
words() {
    case $1 in markdown) folder=markdown ;; *) folder=terraform ;; esac
    grep -ohE '"[A-Za-z_][A-Za-z0-9_ .-]{1,40}"' crates/import/src/$folder/*.rs | sort -u
}

# One target, with one line of result.
fuzz() {
    local target=$1 corpus=$work/corpus/$1 crashes=$work/crashes/$1 log=$work/$1.log
    mkdir -p "$corpus" "$crashes"
    set -f; local from; from=($(fixtures "$target")); set +f
    # Two fixtures of one name stand in different folders.
    find "${from[@]}" -type f -size -${max_len}c | while read -r file; do cp "$file" "$corpus/${file//\//_}"; done
    words "$target" >"$work/$target.dict"
    local program=$work/$host/release/$target
    if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=$max_len -dict="$work/$target.dict" \
        -artifact_prefix="$crashes/" -print_final_stats=1 -verbosity=0 "$corpus" >"$log" 2>&1; then
        local -A stat=()
        while read -r name value; do stat[$name]=$value; done < <(sed -n 's/^stat::\([a-z_]*\): */\1 /p' "$log")
        echo "fuzz: $target: nothing found by ${stat[number_of_executed_units]} inputs in $seconds s" \
            "(${stat[new_units_added]} kept; slowest ${stat[slowest_unit_time_sec]} s; at most ${stat[peak_rss_mb]} MB)"
        return
    fi
    {
        echo "fuzz: $target FAILED"
        grep -aE 'panicked|ERROR: ' -A1 "$log" | head -6 || tail -20 "$log"
        # The newest is the one that ended this run.
        input=$(find "$crashes" -type f -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2-)
        echo "fuzz: the input is $input"
        echo "fuzz: try it again: $program $input"
        echo "fuzz: the whole log is $log"
    } >&2
    return 1
}

echo "fuzz: $seconds s each, $at_once at once: ${targets[*]}"
failed=0 running=0
for target in "${targets[@]}"; do
    if ((running == at_once)); then
        wait -n || failed=1
        running=$((running - 1))
    fi
    fuzz "$target" &
    running=$((running + 1))
done
while ((running--)); do wait -n || failed=1; done
exit $failed
