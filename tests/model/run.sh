#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# tests/model/run.sh BUILD searches lease.pml: every state of each configuration below, and then again without each of
# the guards of guards.h, where the property must fail that is said there. Prints how many states there were and what
# failed; ends with 1 if anything is not as it should be. CC compiles what spin makes.
set -uf
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd) || exit 1
mkdir -p "$1" && work=$(cd "$1" && pwd)/model || exit 1
jobs=$(getconf _NPROCESSORS_ONLN)
rm -rf "$work" && mkdir "$work" || exit 1
trap 'exit 1' HUP INT TERM

# Those that take long first, beside each other. Behind the colon is how: `stuck`, nobody waits for ever, and `cycle`,
# nor goes round in circles, which takes twice as long; `fair`, unless somebody could go on for ever and does not.
configurations='crash:stuck cut:cycle client:stuck calm:stuck both:cycle twice:cycle recall:fair forget:cycle'
options() {
    case $1 in
    crash) echo CRASH_DAEMON=1 ;;
    cut) echo CUT=1 LONE=1 ;;
    client) echo CRASH_CLIENT=1 ;;
    calm) echo KICKS=1 ;;
    both) echo CRASH_DAEMON=1 CRASH_CLIENT=1 TRIMS=1 LONE=1 ;;
    twice) echo CRASH_DAEMON=2 LONE=1 ;;
    recall) echo CRASH_DAEMON=1 ENDLESS=1 LONE=1 ;;
    forget) echo CRASH_DAEMON=1 RESUME=0 LONE=1 ;;
    esac
}
usual='ROUNDS=1 TOTAL=1 RESUME=1 TRIMS=0 CRASH_DAEMON=0 CRASH_CLIENT=0 CUT=0 KICKS=0 LONE=0 ENDLESS=0 ONLY=0 MUTANT=0'

# search NAME CONFIGURATION HOW CFLAGS [OPTION...]: spin's verifier, and what it says in $work/NAME/out.
search() {
    mkdir "$work/$1" && cd "$work/$1" || return 1
    configuration=$2 cflags="$4 -w -DMEMLIM=6000" mode=
    case $3 in
    cycle) mode=-a cflags="$cflags -DNOFAIR" ;;
    fair) mode='-a -f' cflags="$cflags -DNFAIR=3" ;;
    stuck) cflags="$cflags -DNOFAIR -DNOCLAIM" ;;
    assert) mode=-E cflags="$cflags -DNOFAIR -DNOCLAIM" ;;
    esac
    shift 4
    set -- $(options "$configuration") "$@"
    for option in $usual; do
        case " $* " in
        *" ${option%%=*}="*) ;;
        *) set -- "$@" "$option" ;;
        esac
    done
    spin -a $(printf -- '-D%s ' "$@") "$here/lease.pml" >spin.out 2>&1 &&
        ${CC:-gcc} $cflags -o pan pan.c >>spin.out 2>&1 && ./pan $mode -m1000000 -w22 >out 2>&1
    rm -f pan pan.[!t]
}

# in_parallel COMMAND LINE...: as many at a time as there are processors. A line is a command's arguments, with colons.
in_parallel() {
    command=$1 running=0
    shift
    for line; do
        ($command $(printf '%s\n' "$line" | tr : ' ')) &
        running=$((running + 1))
        [ $((running % jobs)) -ne 0 ] || wait
    done
    wait
}

# What failed, or nothing.
verdict() {
    sed -n 's/^pan:1: assertion violated *(*\([A-Z_]*\)||.*/\1/p; s/^pan:1: acceptance cycle.*/SERVED/p
        s/^pan:1: invalid end state.*/SERVED/p' "$work/$1/out" | head -n 1
}

# ------------------------------------------------------------------------------------------------ as it is

search_whole() {
    search "$1" "$1" "$2" -O2
}

# Did pan look at everything, without anything to complain of?
is_right() {
    grep -q '^State-vector .* errors: 0$' "$1" && grep -q '^Full statespace search for:' "$1" &&
        ! grep -qE 'Search not completed|max search depth|out of memory|truncated' "$1"
}

said() {
    sed -n "s/$1/\\1/p" "$2" | head -n 1
}

in_parallel search_whole $configurations
errors=0 states=0
echo "configuration    states  depth  seconds  searched for"
for configuration in $configurations; do
    how=${configuration#*:} configuration=${configuration%:*}
    out=$work/$configuration/out
    n=$(said '^ *\([0-9.e+]*\) states, stored.*' "$out" | awk '{ printf "%.0f", $1 }')
    depth=$(said '.*depth reached \([0-9]*\),.*' "$out")
    seconds=$(said '^pan: elapsed time \([0-9.e+-]*\) seconds.*' "$out")
    printf '%-13s %9s %6s %8s  %-12s  %s\n' "$configuration" "${n:-?}" "${depth:-?}" "${seconds:-?}" "$how" \
        "$(options "$configuration")"
    states=$((states + ${n:-0}))
    is_right "$out" && continue
    errors=$((errors + 1))
    echo "FAILED: $(verdict "$configuration"), see $work/$configuration"
    cat "$work/$configuration/spin.out"
done

# ------------------------------------------------------------------------------------------------ without each guard

# guard:configuration:property
guards=$(sed -n 's|^#define GUARD_\([A-Z_]*\) *[0-9]* */\* \([a-z]*\) \([A-Z_]*\): .*|\1:\2:\3|p' "$here/guards.h")
n_guards=$(grep -c '^#define GUARD_' "$here/guards.h")

property_number() {
    n=$(sed -n "s/^hidden byte $1 = OTHERS(\([0-9]*\)).*/\1/p" "$here/lease.pml")
    echo "${n:-255}" # SERVED is no assertion
}

search_without() {
    case $3:$2 in
    SERVED:recall) how=fair ;;
    SERVED:*) how=stuck ;;
    *) how=assert ;;
    esac
    search "$1" "$2" "$how" -O0 "MUTANT=GUARD_$1" "ONLY=$(property_number "$3")"
}

in_parallel search_without $guards
killed=0
echo
echo "without                in            fails"
for guard in $guards; do
    name=${guard%%:*} property=${guard##*:} configuration=${guard#*:}
    found=$(verdict "$name")
    printf '%-22s %-13s %s\n' "$name" "${configuration%:*}" "${found:-nothing}"
    if [ "$found" = "$property" ]; then
        killed=$((killed + 1))
    else
        echo "FAILED: not $property, see $work/$name"
        cat "$work/$name/spin.out"
    fi
done
echo
[ "$errors" -ne 0 ] || whole=', exhaustively'
echo "model: $states states searched${whole-}, $errors errors; $killed of $n_guards mutants killed"
[ "$errors" -eq 0 ] && [ "$killed" -eq "$n_guards" ]
