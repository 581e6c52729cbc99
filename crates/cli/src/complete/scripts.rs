//! What shells are told.

const BASH: &str = r#"# bash completion for brig: brig completion bash > /etc/bash_completion.d/brig
_brig() {
    local current="${COMP_WORDS[COMP_CWORD]}" line
    local -a words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    # Bash breaks words at colons, of which names of images have some.
    if declare -F _get_comp_words_by_ref >/dev/null; then
        local cword
        _get_comp_words_by_ref -n : -w words -i cword
        current="${words[cword]}"
        words=("${words[@]:1:cword}")
    fi
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line%%$'\t'*}")
    done < <("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)
    if declare -F __ltrim_colon_completions >/dev/null; then
        __ltrim_colon_completions "$current"
    fi
}
complete -o default -F _brig brig
"#;

const ZSH: &str = r#"#compdef brig
# zsh completion for brig: brig completion zsh > "${fpath[1]}/_brig"
_brig() {
    local line
    local -a described plain
    while IFS= read -r line; do
        if [[ $line == *$'\t'* ]]; then
            described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        else
            plain+=("$line")
        fi
    done < <(${words[1]} __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    (( $#described )) && _describe -t commands brig described
    (( $#plain )) && compadd -a plain
    (( $#described + $#plain )) || _files
}
if [[ $funcstack[1] == _brig ]]; then
    _brig "$@"
else
    compdef _brig brig
fi
"#;

const FISH: &str = r#"# fish completion for brig: brig completion fish > ~/.config/fish/completions/brig.fish
function __brig_complete
    set -l words (commandline -opc)
    set -e words[1]
    set -l found (brig __complete $words (commandline -ct) 2>/dev/null)
    if test (count $found) -eq 0
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $found
    end
end
complete -c brig -f -a '(__brig_complete)'
"#;

/// The script of a shell; none if it is not known.
pub(crate) fn script(shell: &str) -> Option<&'static str> {
    match shell {
        "bash" => Some(BASH),
        "zsh" => Some(ZSH),
        "fish" => Some(FISH),
        _ => None,
    }
}
