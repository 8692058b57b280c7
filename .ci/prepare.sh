# Shared by ./run and ./test, which source it from the root of the clone: whatever is missing is brought, once.
# With root or sudo, system packages are installed (and never started). Without, they are unpacked into .cache/debian
# and reached through small wrappers in .cache/debian/bin. A second call finds all in place and needs no network.

CACHE=$PWD/.cache
DEBIAN=$CACHE/debian
LOG=$CACHE/prepare.log
DRIVER='.venv/lib/python3*/site-packages/playwright/driver/node' # a pattern; what steers the browser in the tests
PATH=$DEBIAN/bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin # a user's PATH has no sbin, where Debian keeps mosquitto
export PATH DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

say() { echo "$(basename "$0"): $*" >&2; }
die() { say "$*"; exit 1; }

# --- system packages -------------------------------------------------------------------------------------------------

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
can_be_root() { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }

# Installed by the system's own tools. policy-rc.d is Debian's way to say that no service may start meanwhile.
install_script='
    policy=/usr/sbin/policy-rc.d
    if ! [ -e $policy ]; then
        trap "rm -f $policy" EXIT
        trap "exit 1" HUP INT TERM
        printf "#!/bin/sh\nexit 101\n" >$policy && chmod 755 $policy
    fi
    get() { apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold "$@"; }
    get install -y --no-install-recommends "$@" || { get update && get install -y --no-install-recommends "$@"; } || exit 1
    for name; do # what was not here before does not start with the machine either
        [ -e "/etc/init.d/$name" ] && update-rc.d "$name" disable
    done
    true
'
install_packages() {
    as_root env DEBIAN_FRONTEND=noninteractive sh -c "$install_script" sh "$@" >>"$LOG" 2>&1
}

# Nobody's system is touched: apt works on lists of its own, and its packages are only unpacked.
unpack_packages() {
    local apt=$CACHE/apt debs=$CACHE/debs
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$debs" "$DEBIAN"
    get() { apt-get -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" -o Debug::NoLocking=1 "$@"; }
    {
        get update
        # What apt would install is what is missing; another C library than the running one would break everything.
        (
            cd "$debs" && get -s install --no-install-recommends "$@" >plan &&
                awk '$1 == "Inst" && $2 !~ /^libc6/ { print $2 }' plan | sort -u >names && [ -s names ] &&
                get download $(cat names)
        ) && find "$debs" -name '*.deb' -print0 | xargs -0 -r -I{} dpkg -x {} "$DEBIAN" &&
            rm -rf "$apt" "$debs"
    } >>"$LOG" 2>&1
}

# bring PACKAGE...: present afterwards, or the script ends with a sentence.
bring() {
    command -v apt-get >/dev/null || die "$* is missing and there is no apt-get here; install it by hand and try again."
    say "getting $* (once)"
    if can_be_root; then
        install_packages "$@" || die "apt-get could not install $*; check the network, read the end of $LOG, or run 'sudo apt-get install $*', and try again."
    else
        unpack_packages "$@" || die "apt-get could not fetch $*; check the network, read the end of $LOG, or ask an administrator for 'apt-get install $*'."
        wrap_programs
    fi
}

# Programs that were only unpacked look for libraries and fonts beside themselves.
wrap_programs() {
    local program libraries
    libraries=$(find "$DEBIAN"/usr/lib/*-linux-gnu* "$DEBIAN"/lib/*-linux-gnu* -maxdepth 2 -name '*.so*' -printf '%h\n' 2>/dev/null |
        sort -u | paste -sd:)
    mkdir -p "$DEBIAN/bin"
    cat >"$DEBIAN/fonts.conf" <<END
<fontconfig><dir>$DEBIAN/usr/share/fonts</dir><dir>/usr/share/fonts</dir><cachedir>$CACHE/fontconfig</cachedir></fontconfig>
END
    for program in "$DEBIAN"/usr/{bin,sbin}/mosquitto* "$DEBIAN"/usr/lib/chromium/chromium \
        "$DEBIAN"/usr/lib/postgresql/*/bin/* "$DEBIAN"/usr/bin/strace "$PWD"/$DRIVER; do
        [ -x "$program" ] || continue
        cat >"$DEBIAN/bin/${program##*/}" <<END
#!/bin/sh
export LD_LIBRARY_PATH="$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}" FONTCONFIG_FILE="$DEBIAN/fonts.conf"
exec "$program" "\$@"
END
        chmod 755 "$DEBIAN/bin/${program##*/}"
    done
    echo "$PWD" >"$DEBIAN/.at"
}

need_program() { command -v "$1" >/dev/null || bring "$2"; }

need_postgresql() {
    local programs
    for programs in /usr/lib/postgresql/*/bin; do PATH=$PATH:$programs; done # where Debian keeps them, out of PATH
    command -v postgres >/dev/null && return
    bring postgresql
    for programs in /usr/lib/postgresql/*/bin; do PATH=$PATH:$programs; done
}

need_browser() {
    need_program chromium chromium
    $DRIVER --version >/dev/null 2>&1 && return
    "$DEBIAN/bin/node" --version >/dev/null 2>&1 || bring libatomic1 # which a small Debian lacks
    [ ! -x "$DEBIAN/bin/node" ] || export PLAYWRIGHT_NODEJS_PATH=$DEBIAN/bin/node
}

need_font() { # one that has the Kazakh letters
    local place
    for place in /usr/share/fonts "$DEBIAN/usr/share/fonts"; do
        [ -e "$place/truetype/dejavu/DejaVuSans.ttf" ] && return
    done
    bring fonts-dejavu-core
}

# --- Python ----------------------------------------------------------------------------------------------------------

find_python() {
    local python
    for python in python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    die "Python 3.11, 3.12 or 3.13 is needed and none was found; install python3 and try again."
}

# Debian keeps pip and ensurepip in packages of their own.
make_venv() {
    local python wheel
    python=$(find_python) || exit 1
    say "making .venv with $("$python" -V)"
    if ! "$python" -c 'import ensurepip' 2>/dev/null && can_be_root; then
        bring python3-venv
    fi
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv --clear .venv >>"$LOG" 2>&1 || die "'$python -m venv' failed; read the end of $LOG and try again."
        return
    fi
    pip_wheel() { ls {/usr,"$DEBIAN"/usr}/share/python-wheels/pip-*.whl 2>/dev/null | tail -n 1; }
    [ -n "$(pip_wheel)" ] || bring python3-pip-whl
    wheel=$(pip_wheel)
    { "$python" -m venv --clear --without-pip .venv && .venv/bin/python "$wheel/pip" install --no-index "$wheel"; } >>"$LOG" 2>&1 ||
        die "pip could not be put into .venv; read the end of $LOG and try again."
}

# need_python LOCK: .venv holds what LOCK says, and this project. The stamp makes the second time quick.
need_python() {
    local lock=$1 stamp=.venv/.installed-$1
    state() { .venv/bin/python -V; pwd; cat requirements.lock requirements-dev.lock pyproject.toml | sha256sum; }
    [ "$(state 2>/dev/null)" = "$(cat "$stamp" 2>/dev/null)" ] && return
    .venv/bin/python -c 'import pip' 2>/dev/null || make_venv
    say "installing the Python packages of $lock (once)"
    .venv/bin/python -m pip install --require-hashes --no-deps --only-binary :all: -r "$lock" >>"$LOG" 2>&1 ||
        die "pip could not install $lock; read the end of $LOG, check the network and try again."
    .venv/bin/python -m pip install --no-deps --no-index --no-build-isolation --editable . >>"$LOG" 2>&1 ||
        die "pip could not install this project into .venv; read the end of $LOG."
    # requirements-dev.lock holds the whole of requirements.lock, so ./run finds its own after ./test.
    state | tee "$stamp" >.venv/.installed-requirements.lock
}

need_fuzzer() { # after need_python
    .venv/bin/python -c 'import atheris' 2>/dev/null && return
    say "installing the Python packages of requirements-fuzz.lock (once)"
    .venv/bin/python -m pip install --require-hashes --only-binary :all: -r requirements-fuzz.lock >>"$LOG" 2>&1 ||
        die "pip could not install requirements-fuzz.lock; read the end of $LOG, or run ./test without --all."
}

mkdir -p "$CACHE" 2>/dev/null && [ -w "$CACHE" ] || die "cannot write into $PWD; clone into a folder of your own and try again."
exec 9>"$CACHE/lock" && flock 9 # two scripts at once prepare one after the other; closed before the real work
[ ! -e "$DEBIAN/.at" ] || [ "$(cat "$DEBIAN/.at")" = "$PWD" ] || wrap_programs # the clone was moved
