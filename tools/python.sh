#!/bin/sh
# Prints the Python to build the environment with: python3 where that will do, else the newest python3.1x on PATH.

# Apple silicon needs a Python that runs natively: MLX and PyTorch have no packages for a translated x86-64 one.
native=""
if [ "$(uname -s)" = Darwin ] && [ "$(sysctl -n hw.optional.arm64 2>/dev/null)" = 1 ]; then
    native=arm64
fi

old="" translated="" bare=""
for minor in "" .19 .18 .17 .16 .15 .14 .13 .12 .11; do
    name="python3$minor"
    # A name on PATH may be a stub (pyenv, Xcode) that only complains.
    "$name" -c "" >/dev/null 2>&1 </dev/null || continue
    if ! "$name" -c "import sys; sys.exit(sys.version_info < (3, 11))"; then
        old="$name"
    elif [ -n "$native" ] && [ "$("$name" -c "import platform; print(platform.machine())")" != "$native" ]; then
        translated="$name"
    elif ! "$name" -c "import ensurepip, venv" 2>/dev/null; then
        bare="$name"
    else
        exec "$name" -c "import sys; print(sys.executable)"
    fi
done

if [ -n "$bare" ]; then
    version=$("$bare" -c "import sys; print('python%d.%d' % sys.version_info[:2])")
    problem="$bare lacks the modules venv and ensurepip"
    remedy="install them (Debian, Ubuntu: sudo apt install $version-venv)"
elif [ -n "$translated" ]; then
    problem="$translated runs translated, not natively on Apple silicon"
    remedy="install an arm64 Python 3.11 or newer (brew install python@3.11)"
elif [ -n "$old" ]; then
    problem="$old is older than Python 3.11"
    remedy="install Python 3.11 or newer so that python3 or python3.11 is on PATH"
else
    problem="no python3 on PATH"
    remedy="install Python 3.11 or newer"
fi
echo "speedtest-tui: $problem: $remedy" >&2
exit 1
