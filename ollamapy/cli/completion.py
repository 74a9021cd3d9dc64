"""`ollamapy completion`: what a shell needs to complete commands, options and models.

The scripts know nothing themselves: they ask `ollamapy __complete`, which is always as new as the program.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from ollamapy.cli import render

BASH = r"""# bash breaks words at `:` and `=` too, so what stands before the last of them is taken off again.
_ollamapy() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$' \t\n' word about noglob
    case $- in *f*) noglob=1 ;; *) noglob= ;; esac
    set -f
    local words=($line)
    [ -n "$noglob" ] || set +f
    case $line in *[[:space:]]) words+=("") ;; esac
    local typed="${words[${#words[@]}-1]}"
    local cut="${typed%"${typed##*[:=]}"}"
    COMPREPLY=()
    while IFS=$'\t' read -r word about; do
        if [ "$word" = :files ]; then
            compopt -o filenames 2>/dev/null
            while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "${typed#"$cut"}")
        else
            COMPREPLY+=("${word#"$cut"}")
        fi
    done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
}
complete -F _ollamapy ollamapy
"""
ZSH = r"""#compdef ollamapy
_ollamapy() {
    local line word about
    local -a offered shown
    for line in "${(@f)$(${(Q)words[1]} __complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}"; do
        word="${line%%$'\t'*}"
        about="${line#*$'\t'}"
        if [[ "$word" == :files ]]; then
            _files
        elif [[ -n "$word" ]]; then
            offered+=("$word")
            if [[ "$line" == *$'\t'* ]]; then shown+=("$word  -- $about"); else shown+=("$word"); fi
        fi
    done
    (( ${#offered} )) && compadd -l -d shown -a offered
}
if [[ "${funcstack[1]}" == _ollamapy ]]; then _ollamapy "$@"; else compdef _ollamapy ollamapy; fi
"""
FISH = r"""function __ollamapy_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    for offer in ($program __complete $words "$typed" 2>/dev/null)
        if test "$offer" = :files
            __fish_complete_path "$typed"
        else
            echo $offer
        end
    end
end
complete -c ollamapy -f -k -a '(__ollamapy_complete)'
"""
SCRIPTS: Mapping[str, str] = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words that the command takes."""
    parser.add_argument("shell", metavar="SHELL", choices=tuple(SCRIPTS), help="bash, zsh or fish")


def command(*, shell: str) -> None:
    """Print the script that makes a shell complete commands, options and models; put it where the shell looks.

    Where that is:
      bash  echo 'source <(ollamapy completion bash)' >> ~/.bashrc
      zsh   echo 'source <(ollamapy completion zsh)' >> ~/.zshrc     # behind compinit
      fish  ollamapy completion fish > ~/.config/fish/completions/ollamapy.fish

    Examples:
      ollamapy completion bash
    """
    render.line(SCRIPTS[shell].rstrip())
