#!/usr/bin/env bash
# Installs what is missing. `setup.sh build`: a C compiler. `setup.sh test`: all that the tests need as well: PostgreSQL,
# Dovecot, Chromium, curl and Python from Debian's packages, cargo-nextest, and in target/tooling Cyrus (unpacked from
# Debian's packages), pinned node and Python tools and the messages of CPython's tests.
# `setup.sh deny`: cargo-deny. What is already there is left as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin # where Dovecot is

tooling=target/tooling
nextest_version=0.9.143
deny_version=0.20.2
chromium_version=153.0.0 # of the npm package @sparticuz/chromium, for systems whose packages have no Chromium

fail() {
  printf 'postroom: %s\n' "$*" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# debian or ubuntu where the system is one of them or made from one; else nothing.
distribution() {
  local like
  like=$(sed -nE 's/^ID(_LIKE)?=//p' /etc/os-release 2>/dev/null | tr -d '"' | tr '\n' ' ')
  case " $like " in
    *' ubuntu '*) echo ubuntu ;;
    *' debian '*) echo debian ;;
  esac
}

# Installs the named packages. Their own services are neither started nor enabled: the tests start servers of their own.
install_packages() {
  local sudo=() policy=/usr/sbin/policy-rc.d status=0
  if [ -z "$(distribution)" ] || ! has apt-get; then
    fail "needs the programs of these Debian packages: $*. Only Debian and Ubuntu are set up by themselves:" \
      "install them in your system's way, then run the command again."
  fi
  if [ "$(id -u)" -ne 0 ]; then
    has sudo || fail "needs these packages: $*. Run the command as root, or install sudo."
    sudo=(sudo)
  fi
  echo "Installing $*"
  if [ ! -e $policy ]; then
    # shellcheck disable=SC2064 # as it is now
    trap "${sudo[*]} rm -f $policy" EXIT
    printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee $policy >/dev/null
    "${sudo[@]}" chmod 755 $policy
  fi
  mkdir -p target
  {
    "${sudo[@]}" apt-get update -q -o DPkg::Lock::Timeout=300 &&
      "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q -o DPkg::Lock::Timeout=300 \
        --no-install-recommends "$@"
  } >target/apt.log 2>&1 </dev/null || status=$?
  [ "$status" -eq 0 ] || fail "apt-get could not install $*: $(tail -n 20 target/apt.log)"
  [ -z "$(trap -p EXIT)" ] || { "${sudo[@]}" rm -f $policy && trap - EXIT; }
  if [ -d /run/systemd/system ]; then
    case " $* " in *' postgresql '*) "${sudo[@]}" systemctl disable --quiet postgresql || true ;; esac
    case " $* " in *' dovecot-imapd '*) "${sudo[@]}" systemctl disable --quiet dovecot || true ;; esac
  fi
}

check_rust() {
  has cargo || fail "needs a Rust toolchain (1.91 or newer) with cargo, rustfmt and clippy: install one with rustup."
}

check_dovecot() {
  case "$(dovecot --version)" in
    2.3.* | 2.4.*) ;;
    *) fail "the tests are written for Dovecot 2.3 and 2.4; found $(dovecot --version)." ;;
  esac
}

# The libraries that packages need by name and the system lacks.
lacking_libraries() {
  local name
  apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$@" |
    sed -nE 's/^ *\|?(Pre)?Depends: (lib[^ <:]+)$/\2/p' | sort -u | while read -r name; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'install ok installed' || echo "$name"
  done
}

# fetch FOLDER PACKAGE…: the packages, and of what they need the libraries that the system lacks.
fetch() {
  local folder=$1 sudo=() all=() lacking
  shift
  [ "$(id -u)" -eq 0 ] || ! has sudo || sudo=(sudo)
  # Lists that are old name packages that are not there any more.
  "${sudo[@]}" apt-get update -q -o DPkg::Lock::Timeout=300 || true
  while [ $# -gt 0 ]; do
    (cd "$folder" && apt-get download -q "$@") || return
    all+=("$@")
    lacking=$(lacking_libraries "$@") || return
    lacking=$(grep -vxF "$(printf '%s\n' "${all[@]}")" <<<"$lacking" || true)
    # shellcheck disable=SC2086 # a name a line
    set -- $lacking
  done
}

# Cyrus, with the libraries that it needs and the system lacks, in target/tooling/cyrus: nothing of it is installed, because
# as packages Dovecot and Cyrus exclude each other.
cyrus() {
  local home=$tooling/cyrus package
  [ ! -x $home/bin/imapd ] || return 0
  if [ -z "$(distribution)" ] || ! has apt-get || ! has dpkg-deb; then
    fail "needs Cyrus IMAP 3.6 or newer beside Dovecot: link the folder of its imapd and master to $PWD/$home/bin," \
      "and one of the libraries that are not the system's, libeatmydata.so among them, to $PWD/$home/lib."
  fi
  echo 'Unpacking Cyrus'
  rm -rf $home.new
  mkdir -p $home.new/packages $home.new/root $home.new/bin $home.new/lib
  fetch $home.new/packages cyrus-common cyrus-imapd libeatmydata1 >target/apt.log 2>&1 </dev/null ||
    fail "the tests need Cyrus IMAP, and its Debian packages cyrus-common and cyrus-imapd could not be fetched:" \
      "$(tail -n 20 target/apt.log)"
  for package in "$home".new/packages/*.deb; do dpkg-deb -x "$package" $home.new/root; done
  find $home.new/root -name '*.so*' -exec cp -a {} $home.new/lib/ \;
  cp $home.new/root/usr/lib/cyrus/bin/{master,imapd,idled,ctl_cyrusdb} $home.new/bin/
  rm -rf $home.new/packages $home.new/root $home
  mv $home.new $home
}

check_cyrus() {
  local missing
  missing=$(LD_LIBRARY_PATH=$tooling/cyrus/lib ldd $tooling/cyrus/bin/{master,imapd,idled,ctl_cyrusdb} | grep 'not found' || true)
  [ -z "$missing" ] || fail "Cyrus lacks libraries; remove $tooling/cyrus and run the command again: $missing"
}

# cargo_tool NAME VERSION: builds a cargo tool from source, when it is missing.
cargo_tool() {
  has "$1" || has "${CARGO_HOME:-$HOME/.cargo}/bin/$1" || {
    echo "Building $1, once; this takes some minutes"
    cargo install --quiet --locked --version "$2" "$1"
  }
}

# The system's Chromium, or nothing; swagger.mjs looks in the same places.
find_chromium() { compgen -G '/usr/bin/chromium' || compgen -G '/usr/bin/google-chrome' || true; }

system_packages() {
  local missing=()
  has cc || missing+=(build-essential)
  if [ "$1" = test ]; then
    [ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
    has curl || missing+=(curl)
    has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
    { has dovecot && compgen -G '/usr/lib*/dovecot/imap-login' >/dev/null; } || missing+=(dovecot-imapd)
    { has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; } || missing+=(python3 python3-venv)
    if [ -z "$(find_chromium)" ]; then
      # Ubuntu's own is a snap, which does not run in a container: see npm_tools.
      if [ "$(distribution)" != ubuntu ]; then
        missing+=(chromium)
      else
        [ -e /etc/fonts/fonts.conf ] || missing+=(fontconfig-config)
        compgen -G '/usr/lib/*/libnss3.so' >/dev/null || missing+=(libnss3)
      fi
    fi
  fi
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

# A virtual environment with node, npm, mypy and the Python client generator, at the versions of requirements.txt.
python_tools() {
  cmp -s tests/requirements.txt $tooling/requirements.txt && return
  echo 'Installing the Python tools of the tests'
  rm -rf $tooling/venv
  python3 -m venv $tooling/venv
  $tooling/venv/bin/pip install --quiet --disable-pip-version-check --requirement tests/requirements.txt
  cp tests/requirements.txt $tooling/
}

# The messages of CPython's tests: from Debian's package of them, which is unpacked and not installed.
python_messages() {
  local folder=$tooling/python-messages package
  [ -d $folder ] && return
  package=$(apt-cache pkgnames libpython3. 2>/dev/null | grep -E '^libpython3\.[0-9]+-testsuite$' | sort -V | head -n 1)
  [ -n "$package" ] || fail "needs the files test/test_email/data/msg_*.txt of CPython's source in $folder."
  echo "Fetching the messages of $package"
  rm -rf $folder.new && mkdir -p $folder.new
  (cd $folder.new && apt-get download -q "$package" >apt.log 2>&1 && dpkg-deb -x ./*.deb .) ||
    fail "$package could not be fetched: $(tail -n 5 $folder.new/apt.log)"
  mkdir $folder.new/messages
  find $folder.new/usr -path '*/test_email/data/msg_*.txt' -exec cp {} $folder.new/messages/ \;
  mv $folder.new/messages $folder
  rm -rf $folder.new
}

# npm NAME ARGUMENT…: npm in target/tooling/NAME, by the node of the virtual environment.
npm() {
  local bin=$PWD/$tooling/venv/bin
  export NODE_USE_SYSTEM_CA=1 # that of a company's proxy, where there is one
  (cd "$tooling/$1" && shift && PATH=$bin:$PATH command npm --no-audit --no-fund --loglevel=error "$@")
}

# npm_tools NAME SOURCE: the npm packages of SOURCE's lock file in target/tooling/NAME.
npm_tools() {
  cmp -s "$2/package-lock.json" "$tooling/$1/node_modules/.installed" && return
  echo "Installing the npm packages of $2"
  mkdir -p "$tooling/$1"
  cp "$2/package.json" "$2/package-lock.json" "$2/.npmrc" "$tooling/$1/"
  npm "$1" ci
  if [ "$1" = browser ] && [ -z "$(find_chromium)" ]; then
    npm "$1" install --no-save "@sparticuz/chromium@$chromium_version"
  fi
  cp "$2/package-lock.json" "$tooling/$1/node_modules/.installed"
}

case "${1:-}" in
  build)
    check_rust
    system_packages build
    ;;
  test)
    check_rust
    system_packages test
    check_dovecot
    mkdir -p $tooling
    cyrus
    check_cyrus
    python_tools
    python_messages
    npm_tools browser tests/browser
    npm_tools typescript openapi/smoke/typescript
    npm_tools verifiers tests/verifiers
    cargo_tool cargo-nextest $nextest_version
    ;;
  deny)
    check_rust
    system_packages build
    cargo_tool cargo-deny $deny_version
    ;;
  *)
    fail "usage: tests/setup.sh build|test|deny"
    ;;
esac
