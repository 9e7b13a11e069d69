#!/bin/sh
# install.sh EXTRAS STAMP...: installs this checkout with EXTRAS into .venv, then touches the stamps.
# Called by the Makefile. What is interrupted leaves no stamp, so that the next call takes it up again.
# A part of `all` without a wheel for this system never stops the rest: one line says what is left out and what would help.
set -eu

extras=",$1,"
shift
here=$(pwd -P)

# Written last when an environment is made. One that is half made, that another checkout's copy brought along (its
# scripts name that checkout), whose interpreter is gone or is not the one that PYTHON names, is made anew.
owner=.venv/.checkout
version="import sys; print(sys.hexversion)"
if [ "$(cat "$owner" 2>/dev/null)" != "$here" ] || ! has=$(.venv/bin/python -c "$version" 2>/dev/null) ||
    { [ -n "${PYTHON:-}" ] && [ "$("$PYTHON" -c "$version" 2>/dev/null)" != "$has" ]; }; then
    python=$(sh tools/python.sh)
    rm -rf .venv
    echo "speedtest-tui: making .venv with $python"
    "$python" -m venv .venv
    echo "$here" >"$owner"
fi

parts="" # of `all`, those that are installed
case "$extras" in *,all,*) parts="mlx transformers faster-whisper whisper-cpp pocketsphinx" ;; esac
extras=$(echo "$extras" | sed 's/,all,/,/; s/^,//; s/,$//')

# without PART WHY
without() {
    case " $parts " in *" $1 "*) echo "speedtest-tui: $1 is left out: $2" ;; esac
    parts=$(echo " $parts " | sed "s/ $1 / /")
}

# What has no wheels there, as tools/check_wheels.py asks it.
pins="-c constraints.txt"
case "$(uname -s)" in
    Darwin)
        system=$(SYSTEM_VERSION_COMPAT=0 sw_vers -productVersion 2>/dev/null || echo 14)
        if [ "$(sysctl -n hw.optional.arm64 2>/dev/null)" != 1 ]; then
            pins=""
            without mlx "it needs Apple silicon"
            without whisper-cpp "pywhispercpp has no packages for Macs with an Intel processor"
            without transformers "PyTorch has no packages for Macs with an Intel processor"
        elif [ "${system%%.*}" -lt 14 ]; then
            pins=""
            without mlx "it needs macOS 14 or newer, this is macOS $system; after an update, make clean and make run"
        fi
        ;;
    *)
        # "glibc 2.36"; musl's getconf knows no such name
        libc=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed -n 's/^glibc \([0-9]*\.[0-9]*\).*/\1/p')
        if [ -z "$libc" ]; then
            echo "speedtest-tui: this system's C library is not glibc, for which most packages are built: try a container"
        elif [ "${libc%.*}" -eq 2 ] && [ "${libc#*.}" -lt 35 ]; then
            without mlx "it needs glibc 2.35 or newer (as in Ubuntu 22.04 or Debian 12), this is $libc"
        fi
        ;;
esac
minor=$(.venv/bin/python -c "import sys; print('3.%d' % sys.version_info[1])")
case "$minor" in
    3.11 | 3.13) ;;
    *) without pocketsphinx "it has wheels for Python 3.11 and 3.13 only, this is $minor; with one of them on PATH: PYTHON=python3.13 make run" ;;
esac
[ -n "$pins" ] || echo "speedtest-tui: the tested versions (constraints.txt) have no wheels here: others are installed"

# A user's pip configuration may ask for --user, which a virtual environment refuses.
# Nothing is compiled here: what has no wheel ends it at once, instead of after minutes of a compiler.
fill() {
    wanted=$(echo "$extras" "$@" | sed 's/^ *//; s/ *$//; s/  */,/g')
    # shellcheck disable=SC2086  # the pins are two words or none
    PIP_USER=0 .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check \
        --only-binary :all: $pins -e ".${wanted:+[$wanted]}"
}

rm -f "$@"
echo "speedtest-tui: installing into .venv, some minutes the first time"
# shellcheck disable=SC2086  # words
if fill $parts; then
    touch "$@"
elif [ -z "$parts" ]; then
    exit 1
else # no stamp: the next call tries again
    echo "speedtest-tui: not all of it can be installed: one part after another"
    fill # without a network, for example, this fails, too, and ends it
    for part in $parts; do
        fill "$part" || without "$part" "it could not be installed, as pip says above"
    done
fi
