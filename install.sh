#!/bin/sh
# Install ollamapy from this checkout into a private environment, and put `ollamapy` on the PATH.
# All of it stands in main(), whose call is the last line: a truncated download does nothing.
main() {
set -eu
umask 022

usage() {
    cat <<'USAGE'
Usage: ./install.sh [OPTION]...

Installs ollamapy from this checkout into a private environment and puts `ollamapy` on the PATH.

  --demo             afterwards start the daemon if none runs, and let the bundled model answer a question
  --service          afterwards make it a service that runs at boot (as root: one of the whole machine)
  --prefix DIR       install under DIR (default: /usr/local as root, else ~/.local)
  --backend NAME     auto, cpu, cuda, rocm, metal or vulkan (default: auto, by the hardware)
  --no-modify-path   leave the shell's profile alone
  --dry-run          say what would be chosen and why, and stop
  --uninstall        remove what this script installed; asks before it touches models
  --yes              answer yes to every question (with --uninstall: the models go too)
  --help             this text

Run it again at any time: it changes only what is out of date.
USAGE
}

# -- messages ---------------------------------------------------------------------------------------------------------

say() { printf '%s\n' "$*"; }

die() { # MESSAGE [FIX]: explain, clean up, stop
    printf '\nerror: %s\n' "$1" >&2
    [ -z "${2:-}" ] || printf '  fix: %s\n' "$2" >&2
    exit 1
}

confirm() { # QUESTION: true for yes; no where nobody can answer
    [ "$assume_yes" = no ] || return 0
    [ -t 0 ] || { say "$1 No answer possible here: no. (--yes means yes)"; return 1; }
    printf '%s [y/N] ' "$1"
    read -r answer || answer=no
    case $answer in [Yy]*) return 0 ;; *) return 1 ;; esac
}

as_root() { # the words that make a command run as root
    if [ "$(id -u)" -eq 0 ]; then echo ""; else echo "sudo "; fi
}

package_command() { # DEBIAN FEDORA ALPINE ARCH SUSE MAC PLAIN: the command that installs it here, else plain words
    if [ "$os" = Darwin ]; then echo "$6"
    elif command -v apt-get >/dev/null 2>&1; then echo "$(as_root)apt-get install -y $1"
    elif command -v dnf >/dev/null 2>&1; then echo "$(as_root)dnf install -y $2"
    elif command -v apk >/dev/null 2>&1; then echo "$(as_root)apk add $3"
    elif command -v pacman >/dev/null 2>&1; then echo "$(as_root)pacman -S --needed $4"
    elif command -v zypper >/dev/null 2>&1; then echo "$(as_root)zypper install -y $5"
    else echo "install $7 with your system's package manager"
    fi
}

# -- running things ---------------------------------------------------------------------------------------------------

stop_tree() { # PID: end a process and what it started
    for stop_pid in $(ps -A -o pid= -o ppid= | awk -v root="$1" '
        { parent[$1] = $2 }
        END { for (p in parent) { q = p; while (q > 1 && q != root) q = parent[q]; if (q == root) print p } }'); do
        kill "$stop_pid" 2>/dev/null || :
    done
}

clean_up() { # leave no half of an installation
    [ -z "$child" ] || stop_tree "$child"
    [ -z "$unfinished" ] || rm -rf "$unfinished"
    [ -z "$scratch" ] || rm -rf "$scratch"
    [ -e "$lib/stamp" ] || [ -z "$made" ] || {
        rm -rf "$lib/wheels" "$lib/manifest"
        remove_folders "$made"
    }
}

run_logged() { # LABEL COMMAND...: run it with its output in the log, and show how far it is
    run_label=$1
    shift
    printf '\n# %s\n' "$run_label" >>"$log"
    run_start=$(date +%s)
    run_shown=0
    "$@" >>"$log" 2>&1 </dev/null &
    child=$!
    while kill -0 "$child" 2>/dev/null; do
        run_seconds=$(($(date +%s) - run_start))
        if [ -t 1 ]; then
            printf '\r  %s ... %s s %s ' "$run_label" "$run_seconds" "$(compiled_files)"
        elif [ $((run_seconds - run_shown)) -ge 15 ]; then
            run_shown=$run_seconds
            say "  $run_label ... $run_seconds s $(compiled_files)"
        fi
        sleep 1
    done
    run_status=0
    wait "$child" || run_status=$?
    child=""
    run_result=done
    [ "$run_status" -eq 0 ] || run_result=failed
    [ ! -t 1 ] || printf '\r\033[K'
    say "  $run_label: $run_result in $(($(date +%s) - run_start)) s"
    return "$run_status"
}

compiled_files() { # "[17/240]", where the log's end has ninja's count
    tail -c 200000 "$log" | sed -n 's/^ *\(\[[0-9]*\/[0-9]*\]\) .*/\1/p' | tail -n 1
}

log_has() { grep -qiE "$1" "$log"; }

fail_with_log() { # WHAT: show the log's end, and the likeliest cause with its remedy
    kept_log=$(mktemp "${TMPDIR:-/tmp}/ollamapy-install-log.XXXXXX") && cp "$log" "$kept_log" || kept_log=$log
    printf '\n--- last lines of %s\n' "$kept_log" >&2
    tail -n 25 "$kept_log" | cut -c 1-200 >&2
    printf -- '---\n' >&2
    if log_has 'no space left|disk quota exceeded'; then
        die "$1: the disk is full." "df -h $(quote "$prefix")   # free some space, then run ./install.sh again"
    elif log_has 'ninja: build stopped|cmake error|internal compiler error'; then
        die "$1: the compiler failed." "$(compiler_fix)   # and close other programs if memory is short"
    elif log_has 'connectionerror|proxyerror|retrying \(|from versions: none|max retries exceeded|timed out|name resolution|network is unreachable'; then
        die "$1: the package index could not be reached." \
            "connect to the network (behind a proxy: export HTTPS_PROXY=http://host:port), then run ./install.sh again"
    fi
    die "$1." "read the lines above; the whole log is $kept_log"
}

quote() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# -- what the machine offers ------------------------------------------------------------------------------------------

is_working() { "$@" >/dev/null 2>&1; }

find_python() { # sets python: the first that is new enough and can make a private environment
    python=""
    too_old=""
    no_venv=""
    search=$PATH
    # /usr/local is for every user: there the system's own Python comes before one from somebody's home.
    [ "$prefix" != /usr/local ] || search=/usr/bin:/usr/local/bin:$PATH
    for candidate in python3.13 python3.12 python3.11 python3 python; do
        found=$(PATH=$search command -v "$candidate" 2>/dev/null) || continue
        if ! is_working "$found" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            # A shim of a version manager is no Python at all: only one that answers is worth a word.
            answer=$("$found" --version 2>/dev/null) && too_old="$found ($answer)"
        elif ! is_working "$found" -c 'import ensurepip, venv' && ! is_working uv --version; then
            no_venv=$found
        else
            # The interpreter itself, not a shim and not an active environment, which may go away.
            python=$("$found" -c 'import sys; print(getattr(sys, "_base_executable", "") or sys.executable)')
            return
        fi
    done
    explain_python
}

explain_python() {
    if [ -n "$no_venv" ]; then
        die "$no_venv can't make a private environment: its venv module is not installed." \
            "$(package_command python3-venv python3-pip py3-pip python python3-pip 'brew install python' \
                "Python's venv and ensurepip modules")"
    fi
    python_fix=$(package_command 'python3.11 python3.11-venv' python3.12 python3 python python312 'brew install python' \
        'Python 3.11 or newer with its venv module')
    [ -z "$too_old" ] || die "ollamapy needs Python 3.11 or newer; this machine has $too_old." "$python_fix"
    die "ollamapy needs Python 3.11 or newer; none was found on the PATH." "$python_fix"
}

compiler_fix() {
    package_command build-essential 'gcc gcc-c++ make' build-base base-devel 'gcc gcc-c++ make' 'xcode-select --install' \
        'a C++ compiler (g++ or clang++) and make'
}

find_compiler() { # sets compiler: a C++ compiler that really compiles, or nothing
    compiler=""
    printf '#include <cstddef>\nint main() { std::size_t zero = 0; return zero; }\n' >"$scratch/probe.cpp"
    for candidate in "${CXX:-c++}" g++ clang++; do
        if is_working "$candidate" -o "$scratch/probe" "$scratch/probe.cpp"; then
            compiler=$candidate
            return
        fi
    done
}

has_display_card() { # PCI_VENDOR: true where such a card sits in the machine (Linux)
    for device in /sys/bus/pci/devices/*; do
        [ -r "$device/vendor" ] && [ -r "$device/class" ] || continue
        case "$(cat "$device/vendor") $(cat "$device/class")" in "$1 0x03"*) return 0 ;; esac
    done
    return 1
}

has_vulkan_gpu() {
    command -v vulkaninfo >/dev/null 2>&1 || return 1
    vulkaninfo --summary 2>/dev/null | grep -qE 'PHYSICAL_DEVICE_TYPE_(DISCRETE|INTEGRATED)_GPU'
}

detect_backend() { # sets backend and reason
    backend=cpu
    reason="no supported GPU was found"
    if [ "$os" = Darwin ]; then
        if [ "$(uname -m)" = arm64 ]; then backend=metal reason="this is Apple silicon"; fi
    elif is_working nvidia-smi -L; then
        backend=cuda reason="nvidia-smi reports $(nvidia-smi -L | sed -n '1s/^GPU 0: \(.*\) (UUID.*/\1/p')"
    elif [ -e /dev/kfd ] && { is_working rocminfo || [ -d /opt/rocm ]; }; then
        backend=rocm reason="an AMD GPU and ROCm were found"
    elif has_vulkan_gpu; then
        backend=vulkan reason="vulkaninfo reports a GPU"
    elif [ -e /proc/driver/nvidia/version ] || has_display_card 0x10de; then
        reason="there is an NVIDIA card, but nvidia-smi does not answer: install NVIDIA's driver, then run this again"
    elif has_display_card 0x1002; then
        reason="there is an AMD card, but neither ROCm nor Vulkan: install one of them, then run this again"
    fi
}

wheel_index() { # sets index: where prebuilt wheels for the backend are
    case $backend in
        cuda) index_name=$(cuda_index) ;;
        rocm) index_name=rocm72 ;;
        *) index_name=$backend ;;
    esac
    index=https://abetlen.github.io/llama-cpp-python/whl/$index_name
}

cuda_index() { # the newest index that the driver can run
    cuda=$(nvidia-smi 2>/dev/null | sed -n 's/.*CUDA[A-Za-z ]*Version: *\([0-9]*\)\.\([0-9]*\).*/\1 \2/p' | head -n 1)
    cuda=${cuda:-12 4}
    cuda=$((${cuda% *} * 10 + ${cuda#* }))
    for offered in 132 130 125 124 123 122 121 118; do
        if [ "$cuda" -ge "$offered" ]; then break; fi
    done
    echo "cu$offered"
}

backend_tools() { # sets flag and tool: what compiling for the backend takes
    case $backend in
        cuda) flag=-DGGML_CUDA=on tool=nvcc ;;
        rocm) flag=-DGGML_HIP=on tool=hipcc ;;
        vulkan) flag=-DGGML_VULKAN=on tool=glslc ;;
        metal) flag=-DGGML_METAL=on tool="" ;;
        cpu) flag="" tool="" ;;
    esac
}

describe_plan() {
    say "ollamapy $version"
    say "  Python:   $python"
    say "  prefix:   $prefix"
    say "  backend:  $backend ($reason)"
    if [ "$backend" = cpu ] && [ -n "$compiler" ]; then
        say "  llama.cpp: compiled for this CPU with $compiler, which is faster here than a prebuilt wheel for any CPU"
    elif [ "$backend" = cpu ]; then
        say "  llama.cpp: a prebuilt wheel, because no C++ compiler was found ($index)"
    else
        say "  llama.cpp: a prebuilt wheel if one fits ($index), else compiled with ${flag}"
    fi
}

check_disk() { # DIR MEGABYTES: stop where the file system has less
    disk_dir=$1
    while [ ! -d "$disk_dir" ]; do disk_dir=$(dirname "$disk_dir"); done
    free_mb=$(df -Pk "$disk_dir" 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }')
    [ -n "$free_mb" ] || return 0
    [ "$free_mb" -ge "$2" ] || die "only $free_mb MB are free at $disk_dir; the installation needs $2 MB." \
        "free some space, or choose another place: ./install.sh --prefix DIR (build files: TMPDIR=DIR ./install.sh)"
}

# -- the private environment ------------------------------------------------------------------------------------------

make_folder() { # DIR: create it, and remember every level that was missing
    [ ! -d "$1" ] || return 0
    make_folder "$(dirname "$1")"
    mkdir "$1" 2>/dev/null || die "$1 can't be created." "choose a place you may write to: ./install.sh --prefix ~/.local"
    made="$1
$made"
}

remove_folders() { # LINES: remove those of the folders that are empty, innermost first
    printf '%s' "$1" | sort -r | while IFS= read -r folder; do
        [ -z "$folder" ] || rmdir "$folder" 2>/dev/null || :
    done
}

record() { # KIND PATH: note in the manifest what --uninstall has to undo
    record_line=$(printf '%s\t%s' "$1" "$2")
    grep -qxF -- "$record_line" "$lib/manifest" 2>/dev/null || printf '%s\n' "$record_line" >>"$lib/manifest"
}

make_environment() {
    set -- "$python" -m venv
    is_working "$python" -c 'import ensurepip, venv' || set -- uv venv --no-project --seed --python "$python"
    run_logged "making a private environment" "$@" "$env_dir" || fail_with_log "the private environment could not be made"
}

pip() { "$env_dir/bin/python" -m pip --disable-pip-version-check "$@"; }

# Each of these three puts a wheel of llama.cpp into $wheels, where the next installation finds it again.

llama_kept() { [ -n "$(ls "$wheels" 2>/dev/null)" ]; }

llama_prebuilt() {
    run_logged "looking for a prebuilt llama.cpp ($index_name)" \
        pip download --no-deps --only-binary :all: --index-url "$index" --dest "$wheels" "$llama"
}

llama_compiled() {
    [ -n "$compiler" ] || return 1
    [ -z "$tool" ] || command -v "$tool" >/dev/null 2>&1 || return 1
    run_logged "compiling llama.cpp for $backend (some minutes, unless it was before)" compile_llama
}

compile_llama() { CMAKE_ARGS="${CMAKE_ARGS:-} $flag" scripts/llama/build "$env_dir/bin/python" "$llama" "$wheels"; }

install_packages() {
    run_logged "installing ollamapy and its libraries" \
        pip install --only-binary llama-cpp-python --find-links "$wheels" "$checkout" ||
        fail_with_log "ollamapy could not be installed"
}

check_llama() { # true where the library loads and knows the backend
    [ "$backend" = cpu ] && llama_test='import llama_cpp' ||
        llama_test='import llama_cpp, sys; sys.exit(not llama_cpp.llama_supports_gpu_offload())'
    "$env_dir/bin/python" -c "$llama_test" >>"$log" 2>&1 && return
    say "  this llama.cpp does not work with $backend here"
    return 1
}

provide_llama() { # try each way of getting llama.cpp for the backend until one works
    wheel_index
    backend_tools
    wheels=$lib/wheels/$backend-$llama_sum
    ways="kept prebuilt compiled"
    if [ -n "${CMAKE_ARGS:-}" ] || { [ "$backend" = cpu ] && [ -n "$compiler" ]; }; then ways="kept compiled"; fi
    for way in $ways; do
        if "llama_$way" && install_packages && check_llama; then
            for old in "$lib/wheels/$backend" "$lib/wheels/$backend"-*; do [ "$old" = "$wheels" ] || rm -rf "$old"; done
            return 0
        fi
        rm -rf "$wheels"
    done
    return 1
}

explain_no_llama() {
    if [ "$backend" = cpu ] && [ -z "$compiler" ]; then
        die "no C++ compiler was found, and no prebuilt llama.cpp fits or can be reached." "$(compiler_fix)"
    elif [ -n "$tool" ] && ! command -v "$tool" >/dev/null 2>&1; then
        die "no prebuilt llama.cpp for $backend works here, and to compile it takes $tool, which is not on the PATH." \
            "install the $backend toolkit, or run ./install.sh --backend cpu"
    fi
    fail_with_log "llama.cpp could not be compiled for $backend"
}

install_environment() {
    unfinished=$env_dir
    rm -rf "$env_dir"
    make_environment
    if ! provide_llama; then
        [ "$requested" = auto ] && [ "$backend" != cpu ] || explain_no_llama
        say "  using the CPU instead of $backend; ./install.sh --backend $backend tells more"
        backend=cpu
        provide_llama || explain_no_llama
    fi
    "$env_dir/bin/ollamapy" --version >>"$log" 2>&1 || fail_with_log "the installed ollamapy does not start"
}

activate_environment() { # switch the launcher to the new environment, then drop the old ones
    rm -f "$bin/.ollamapy-new"
    ln -s "$env_dir/bin/ollamapy" "$bin/.ollamapy-new"
    mv -f "$bin/.ollamapy-new" "$bin/ollamapy"
    record link "$bin/ollamapy"
    printf '%s\n' "$stamp" >"$lib/stamp"
    cp "$log" "$lib/install.log"
    unfinished=""
    restart_services
    for old in "$lib"/env-*; do
        [ "$old" = "$env_dir" ] || [ ! -d "$old" ] || {
            stop_daemons "$old/" \
                "the earlier version; the next command starts the new one, which loads models when they are asked for"
            rm -rf "$old"
            say "  replaced the earlier version"
        }
    done
}

is_up_to_date() {
    [ -f "$lib/stamp" ] && [ "$(cat "$lib/stamp")" = "$stamp" ] &&
        [ "$(readlink "$bin/ollamapy" 2>/dev/null)" = "$env_dir/bin/ollamapy" ] && is_working "$bin/ollamapy" --version
}

# -- the PATH ---------------------------------------------------------------------------------------------------------

choose_profile() { # sets profile and path_line for the user's shell
    path_line="export PATH=$(quote "$bin"):\"\$PATH\"  $marker"
    case ${SHELL:-} in
        */zsh) profile=${ZDOTDIR:-$HOME}/.zshrc ;;
        */bash) if [ "$os" = Darwin ]; then profile=$HOME/.bash_profile; else profile=$HOME/.bashrc; fi ;;
        */fish)
            profile=${XDG_CONFIG_HOME:-$HOME/.config}/fish/conf.d/ollamapy.fish
            path_line="fish_add_path $(quote "$bin")  $marker"
            ;;
        *) profile=$HOME/.profile ;;
    esac
}

add_to_path() {
    case ":$PATH:" in *":$bin:"*) return 0 ;; esac
    choose_profile
    if [ "$modify_path" = no ]; then
        say "$bin is not on the PATH; this line puts it there:"
        say "  $path_line"
        return
    fi
    if ! grep -qxF -- "$path_line" "$profile" 2>/dev/null; then
        made=""
        make_folder "$(dirname "$profile")"
        record_made
        [ -e "$profile" ] || record file "$profile"
        record line "$profile"
        printf '%s\n' "$path_line" >>"$profile"
        say "Added $bin to the PATH in $profile."
    fi
    say "Open a new terminal, or run: $path_line"
}

record_made() {
    printf '%s' "$made" | sort | while IFS= read -r folder; do [ -z "$folder" ] || record made "$folder"; done
    made=""
}

remove_from_path() { # PROFILE: drop the marked lines, leave the rest as it is
    [ -f "$1" ] || return 0
    grep -vF -- "$marker" "$1" >"$scratch/profile" || :
    cmp -s "$scratch/profile" "$1" || cat "$scratch/profile" >"$1"
}

# -- the three jobs ---------------------------------------------------------------------------------------------------

install() {
    find_python
    find_compiler
    if [ "$requested" = auto ]; then detect_backend; else backend=$requested reason="--backend $requested"; fi
    wheel_index
    backend_tools
    source_sum=$(find pyproject.toml README.md LICENSE ollamapy modelfiles -type f ! -path '*/__pycache__/*' | LC_ALL=C sort |
        while IFS= read -r file; do cksum "$file"; done | cksum | tr -d ' ')
    llama_sum=$({ cksum scripts/llama/*; printf '%s\n' "$llama" ${CMAKE_ARGS:-}; } | cksum | tr -d ' ')
    stamp="version $version source $source_sum llama $llama_sum backend $backend python $python"
    env_dir=$lib/env-$(printf '%s' "$stamp" | cksum | tr -d ' ')
    if is_up_to_date; then
        say "ollamapy $version for $backend is installed at $prefix and up to date."
    else
        describe_plan
        [ "$dry_run" = no ] || return 0
        install_new
        say "Installed ollamapy $version ($backend)."
        [ "$as_service" = yes ] || say "To have it run at boot: ./install.sh --service$prefix_words"
    fi
    [ "$dry_run" = yes ] || add_to_path
}

install_new() {
    needed_mb=1000
    [ "$backend" = cpu ] || needed_mb=4000
    check_disk "$lib" "$needed_mb"
    check_disk "${TMPDIR:-/tmp}" "$needed_mb"
    make_folder "$lib"
    make_folder "$bin"
    [ -w "$lib" ] && [ -w "$bin" ] || die "$prefix is not writable for $(id -un)." \
        "run as root, or choose a place of your own: ./install.sh --prefix ~/.local"
    [ ! -e "$bin/ollamapy" ] || [ -L "$bin/ollamapy" ] || die "$bin/ollamapy exists and is not ours." "remove it first"
    install_environment
    record_made
    activate_environment
}

uninstall() {
    [ -f "$lib/manifest" ] || {
        say "ollamapy is not installed at $prefix; nothing to remove there."
        tell_kept_models
        return 0
    }
    find_data
    remove_services
    stop_daemons "$lib/env-" "ollamapy at $prefix"
    sed -n 's/^line	//p' "$lib/manifest" | while IFS= read -r profile; do remove_from_path "$profile"; done
    sed -n 's/^file	//p' "$lib/manifest" | while IFS= read -r file; do [ -s "$file" ] || rm -f "$file"; done
    sed -n 's/^link	//p' "$lib/manifest" | while IFS= read -r link; do
        case $(readlink "$link" 2>/dev/null) in "$lib"/env-*) rm -f "$link" ;; esac
    done
    folders=$(sed -n 's/^made	//p' "$lib/manifest")
    rm -rf "$lib"/env-* "$lib/wheels"
    rm -f "$lib/stamp" "$lib/install.log" "$lib/manifest"
    rmdir "$lib" 2>/dev/null || :
    remove_folders "$folders"
    case $logs in */ollamapy*)
        rm -rf "$logs"
        rmdir "$(dirname "$logs")" 2>/dev/null || :
    esac
    [ ! -d "$state" ] || { # known prefixes: what was said to models is in them
        rm -f "$state"/*.state "$state"/.*.partial "$state/key"
        rmdir "$state" "$(dirname "$state")" 2>/dev/null || :
    }
    say "Removed ollamapy from $prefix."
    remove_models
}

find_data() { # sets models, logs and state: where the installed ollamapy keeps them
    for installed in "$lib"/env-*/bin/python; do
        data=$("$installed" -c '
import os, platformdirs
from ollamapy.config import read_settings
settings = read_settings(os.environ)
print(settings.models_dir)
print(platformdirs.user_log_path("ollamapy", appauthor=False))
print(settings.state_dir or "")' 2>/dev/null) || continue
        models=$(printf '%s\n' "$data" | sed -n 1p)
        logs=$(printf '%s\n' "$data" | sed -n 2p)
        state=$(printf '%s\n' "$data" | sed -n 3p)
    done
}

service_command() { # KIND WORDS: ollamapy service, the user's own or that of the system
    kind=$1
    shift
    if [ "$kind" = system ]; then set -- "$@" --system; fi
    "$bin/ollamapy" service "$@"
}

restart_services() { # a service runs the new version at once; stopped by hand, it would not come back
    for kind in own system; do
        service_command "$kind" status --json 2>/dev/null | grep -q '"process_id": [1-9]' || continue
        if service_command "$kind" restart >>"$log" 2>&1; then
            say "Restarted the service; models that were loaded are loaded again when they are asked for."
        else
            say "The service still runs the earlier version; restart it: ollamapy service restart"
        fi
    done
}

remove_services() {
    for kind in own system; do
        service_command "$kind" status --json 2>/dev/null | grep -q '"installed": true' || continue
        if service_command "$kind" uninstall >>"$log" 2>&1; then
            say "Removed the service."
        else
            say "A service of ollamapy is left; remove it: systemctl disable --now ollamapy"
        fi
    done
}

add_service() {
    kind=own
    [ "$(id -u)" -ne 0 ] || kind=system
    service_command "$kind" install || die "the service could not be made." "read the line above"
}

stop_daemons() { # PLACE WHAT: end the daemons of an environment that goes away; their workers end with them
    daemons=$(ps -A -o pid= -o args= | awk -v place="$1" 'index($0, place) && / serve *$/ { print $1 }')
    for daemon in $daemons; do
        if kill "$daemon" 2>/dev/null; then say "Stopping the daemon (process $daemon) of $2."; fi
    done
    waited=0
    for daemon in $daemons; do
        while is_running "$daemon"; do # it lets answers that are being written end
            [ "$waited" -lt 90 ] || { kill -KILL "$daemon" 2>/dev/null || :; break; }
            sleep 1
            waited=$((waited + 1))
        done
    done
}

is_running() { case $(ps -o stat= -p "$1" 2>/dev/null) in '' | Z*) return 1 ;; esac; }

remove_models() {
    [ -n "$models" ] && [ -d "$models" ] || return 0
    if [ -n "${OLLAMA_MODELS:-}" ]; then
        say "Left alone: the models in $models, because OLLAMA_MODELS may be shared with other programs."
        return
    fi
    size=$(du -sh "$models" | awk '{ print $1 }')
    if confirm "Remove the models in $models too ($size)?"; then
        rm -rf "$models"
        rmdir "$(dirname "$models")" 2>/dev/null || :
        say "Removed the models."
    else
        say "Kept the models in $models."
        tell_removal
    fi
}

tell_removal() {
    other=$(command -v ollamapy 2>/dev/null) || other=""
    say "To remove them, unless ${other:-another installation} uses them: rm -rf $(quote "$models")"
}

tell_kept_models() { # after an earlier --uninstall: the models that it kept
    if [ "$os" = Darwin ]; then models="$HOME/Library/Application Support/ollamapy/models"
    else models=${XDG_DATA_HOME:-$HOME/.local/share}/ollamapy/models
    fi
    [ ! -d "$models" ] || {
        say "The models of an earlier installation are in $models."
        tell_removal
    }
}

demo() {
    say ""
    say "\$ ollamapy run wren \"What is ollamapy?\""
    "$bin/ollamapy" run wren "What is ollamapy?" </dev/null ||
        die "the demo did not answer." "run it by hand for the details: $bin/ollamapy run wren \"What is ollamapy?\""
}

# -- options ----------------------------------------------------------------------------------------------------------

read_options() {
    while [ $# -gt 0 ]; do
        case $1 in
            --demo) run_demo=yes ;;
            --service) as_service=yes ;;
            --uninstall) job=uninstall ;;
            --yes | -y) assume_yes=yes ;;
            --no-modify-path) modify_path=no ;;
            --dry-run) dry_run=yes ;;
            --prefix | --backend)
                [ $# -ge 2 ] || die "$1 needs a value." "./install.sh --help"
                if [ "$1" = --prefix ]; then prefix=$2; else requested=$2; fi
                shift
                ;;
            --prefix=*) prefix=${1#*=} ;;
            --backend=*) requested=${1#*=} ;;
            --help | -h) usage; exit 0 ;;
            *) die "unknown option $1." "./install.sh --help" ;;
        esac
        shift
    done
    case $requested in
        auto | cpu | cuda | rocm | metal | vulkan) ;;
        *) die "unknown backend '$requested'." "use one of auto, cpu, cuda, rocm, metal, vulkan" ;;
    esac
}

settle_folders() {
    : "${HOME:?HOME is not set; run: HOME=/path/of/your/home ./install.sh}"
    prefix_words=$prefix # those that name it in another call, none for the default
    if [ -z "$prefix" ]; then
        if [ "$(id -u)" -eq 0 ]; then prefix=/usr/local; else prefix=$HOME/.local; fi
    fi
    case $prefix in /*) ;; *) prefix=$start_dir/$prefix ;; esac
    [ -z "$prefix_words" ] || prefix_words=" --prefix $(quote "$prefix")"
    case $prefix in *'
'*) die "a prefix can't contain a line break." "./install.sh --prefix DIR" ;; esac
    bin=$prefix/bin
    lib=$prefix/lib/ollamapy
}

enter_checkout() { # sets checkout and version
    checkout=$(CDPATH='' cd -- "$(dirname -- "$0")" 2>/dev/null && pwd) || checkout=""
    grep -qs '^name = "ollamapy"$' "$checkout/pyproject.toml" ||
        die "this script installs from a checkout of ollamapy, and it does not stand in one." \
            "git clone the repository of ollamapy, then run ./install.sh in its folder"
    cd "$checkout"
    version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' ollamapy/version.py)
    llama=$(sed -n 's/^ *"\(llama-cpp-python[^"]*\)".*/\1/p' pyproject.toml)
}

job=install run_demo=no as_service=no assume_yes=no modify_path=yes dry_run=no prefix="" requested=auto
child="" unfinished="" scratch="" made="" lib=/nonexistent models="" logs="" state=""
marker="# added by ollamapy's install.sh"
os=$(uname -s)
start_dir=$(pwd)
read_options "$@"
settle_folders
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
scratch=$(mktemp -d "${TMPDIR:-/tmp}/ollamapy-install.XXXXXX") ||
    die "no temporary file can be written." "free some space, or run: TMPDIR=DIR ./install.sh"
log=$scratch/install.log
: >"$log"
if [ "$job" = uninstall ]; then
    uninstall
else
    enter_checkout
    install
    [ "$as_service" = no ] || [ "$dry_run" = yes ] || add_service
    [ "$run_demo" = no ] || [ "$dry_run" = yes ] || demo
fi
}

# One compound command: no prefix of this line is a command by itself.
{ main "$@"; exit $?; }
