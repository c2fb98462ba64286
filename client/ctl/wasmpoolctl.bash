# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Completion of wasmpoolctl for bash.

_wasmpoolctl() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}

    case $before in
    --socket) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    --runtime-dir) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
    --timeout | --client) COMPREPLY=() ;;
    --user) mapfile -t COMPREPLY < <(compgen -u -- "$word") ;;
    *) mapfile -t COMPREPLY < <(compgen -W \
        'status list users clients images limit --json --socket --runtime-dir --timeout --users --user --clients --client
         --help --version' -- "$word") ;;
    esac
}
complete -o filenames -F _wasmpoolctl wasmpoolctl
