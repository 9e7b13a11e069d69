#!/bin/sh
# Prints the Python to build the environment with: the one that PYTHON names, else the first on PATH for which all parts
# have wheels (3.13, 3.11), else one that lacks few (3.12, 3.14).

# Apple silicon needs a Python that runs natively: MLX and PyTorch have no packages for a translated x86-64 one.
native="" install="install Python 3.13 so that python3.13 is on PATH"
if [ "$(uname -s)" = Darwin ]; then
    install="brew install python@3.13"
    if [ "$(sysctl -n hw.optional.arm64 2>/dev/null)" = 1 ]; then native=arm64; fi
fi

# Prints what keeps NAME from being used, or its path; nothing for a stub (pyenv, Xcode) that only complains.
probe() {
    "$1" - "$native" "$2" 2>/dev/null <<'PROBE'
import platform, sys, sysconfig
native, wanted = sys.argv[1:]
version = "3.%d" % sys.version_info[1]
if sys.version_info < (3, 11):
    print("old")
elif wanted and wanted != version:
    print("new" if sys.version_info >= (3, 15) else "other")
elif wanted and (sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED")):
    print("odd")
elif native and platform.machine() != native:
    print("translated")
else:
    try:
        import ensurepip, venv
        print(sys.executable)
    except ImportError:
        print("bare " + version)
PROBE
}

problem="" remedy="$install" bare=""
# consider NAME VERSION: ends here with a path where that one will do, else keeps the problem that is easiest to solve.
consider() {
    found=$(probe "$1" "$2") || return 0
    case "$found" in
        /*) echo "$found"; exit 0 ;;
        bare*) if [ -z "$bare" ]; then
            problem="$1 lacks the modules venv and ensurepip" bare="python${found#bare }-venv"
            remedy="install them (Debian, Ubuntu: sudo apt install $bare)"
        fi ;;
        translated) problem="${problem:-$1 runs translated, not natively on Apple silicon}" ;;
        odd) problem="${problem:-$1 is not the usual CPython, which most packages are built for}" ;;
        new) problem="${problem:-$1 is newer than Python 3.14, for which packages are not built yet}" ;;
        old) problem="${problem:-$1 is older than Python 3.11}" ;;
    esac
}

if [ -n "${PYTHON:-}" ]; then
    consider "$PYTHON" ""
    problem="PYTHON=$PYTHON: ${problem:-it does not start}"
else
    for version in 3.13 3.11 3.12 3.14; do
        consider "python$version" $version
        consider python3 $version
    done
fi
echo "speedtest-tui: ${problem:-no python3 on PATH}: $remedy" >&2
exit 1
