# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Completion of wasmpoolctl for bash.

_wasmpoolctl() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}

    case $before in
    --socket) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    --runtime-dir) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
    --timeout) COMPREPLY=() ;;
    *) mapfile -t COMPREPLY < <(compgen -W \
        'status list --json --socket --runtime-dir --timeout --help --version' -- "$word") ;;
    esac
}
complete -o filenames -F _wasmpoolctl wasmpoolctl
