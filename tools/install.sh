#!/bin/sh
# install.sh EXTRAS STAMP...: installs this checkout with EXTRAS into .venv, then touches the stamps.
# Called by the Makefile. What is interrupted leaves no stamp, so that the next call takes it up again.
set -eu

extras="$1"
shift
here=$(pwd -P)

# Written last when an environment is made. One that is half made, that another checkout's copy brought along (its
# scripts name that checkout) or whose interpreter is gone, is made anew.
owner=.venv/.checkout
if [ "$(cat "$owner" 2>/dev/null)" != "$here" ] || ! .venv/bin/python -c "" 2>/dev/null; then
    python=$(sh tools/python.sh)
    rm -rf .venv
    echo "speedtest-tui: making .venv with $python"
    "$python" -m venv .venv
    echo "$here" >"$owner"
fi

rm -f "$@"
echo "speedtest-tui: installing into .venv, some minutes the first time"
# A user's pip configuration may ask for --user, which a virtual environment refuses.
# Nothing is compiled here: what has no wheel ends it at once, instead of after minutes of a compiler.
PIP_USER=0 .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check \
    --only-binary :all: -c constraints.txt -e ".[$extras]"
touch "$@"
