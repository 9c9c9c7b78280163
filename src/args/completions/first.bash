    if [[ $cur == '=' ]]; then
        cur=""
    elif [[ $prev == '=' ]]; then
        prev="${COMP_WORDS[COMP_CWORD-2]}"
    fi
    # Behind `--` stands a program with arguments of its own.
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == -- ]] || continue
        if declare -F _comp_command_offset >/dev/null; then
            _comp_command_offset $((i + 1))
        elif declare -F _command_offset >/dev/null; then
            _command_offset $((i + 1))
        elif ((i + 1 == COMP_CWORD)); then
            COMPREPLY=($(compgen -c -- "$cur"))
        fi
        return 0
    done
    # Its word is a file, before it is an option.
    if [[ $prev == import && $cur != -* ]]; then
        local IFS=$'\n'
        compopt -o filenames 2>/dev/null
        COMPREPLY=($(compgen -f -- "$cur"))
        return 0
    fi
