# Sourced by ./run. Provides PostgreSQL and Redis on this machine, installed from Debian's packages and started if they
# do not respond, Chromium, Firefox, boto3, and the programs PgBouncer, HAProxy, clamd and coturn, which tests start themselves. Exports
# TEST_DATABASE_URL and TEST_REDIS_URL unless they are set.

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
as_postgres() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else sudo -n -u postgres "$@"; fi; }
listens() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

# wait_for SECONDS WHAT COMMAND…
wait_for() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    if ((SECONDS >= end)); then
      echo "ci: $what did not happen in time" >&2
      return 1
    fi
    sleep 0.2
  done
}

install_packages() {
  echo "ci: installing $*"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" > /dev/null
}

postgres_logs_in() { psql --no-password --quiet --tuples-only --output=/dev/null --command='SELECT 1' "$1" 2> /dev/null; }

provide_postgres() {
  listens 5432 && command -v psql > /dev/null || command -v pg_ctlcluster > /dev/null || install_packages postgresql
  if ! listens 5432; then
    # PostgreSQL refuses to run as root; pg_ctlcluster runs it as its owner.
    [ -n "$(pg_lsclusters --no-header)" ] || as_root pg_createcluster "$(ls /usr/lib/postgresql | sort -V | tail -n 1)" main
    local version cluster
    read -r version cluster _ < <(pg_lsclusters --no-header | awk '$3 == 5432') || {
      echo 'ci: no PostgreSQL here is set to port 5432: set TEST_DATABASE_URL' >&2
      return 1
    }
    echo "ci: starting PostgreSQL $version"
    as_root pg_ctlcluster "$version" "$cluster" start
    wait_for 30 'PostgreSQL answering' listens 5432
  fi
  TEST_DATABASE_URL=postgresql://postgres@127.0.0.1:5432/postgres
  if ! postgres_logs_in "$TEST_DATABASE_URL"; then
    echo 'ci: making a role for the tests: postgres wants a password'
    local role=parley_ci password
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    as_postgres psql --quiet --set=ON_ERROR_STOP=1 --dbname=postgres << SQL
DO \$\$ BEGIN CREATE ROLE $role LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END \$\$;
ALTER ROLE $role CREATEDB PASSWORD '$password';
SQL
    TEST_DATABASE_URL=postgresql://$role:$password@127.0.0.1:5432/postgres
    postgres_logs_in "$TEST_DATABASE_URL"
  fi
}

provide_redis() {
  if ! listens 6379; then
    command -v redis-server > /dev/null || install_packages redis-server
    echo 'ci: starting Redis'
    redis-server --bind 127.0.0.1 --port 6379 --save '' --appendonly no --daemonize yes > /dev/null
    wait_for 30 'Redis answering' listens 6379
  fi
  TEST_REDIS_URL=redis://127.0.0.1:6379
}

# provide_program NAME [PACKAGE]: provides a program that tests start themselves, from the PATH or from /usr/sbin. Without
# it these tests are skipped with a message.
provide_program() {
  command -v "$1" > /dev/null || [ -x "/usr/sbin/$1" ] || install_packages "${2:-$1}" ||
    echo "ci: $1 could not be installed: the tests that need it are skipped"
}

# Provides Amazon's client for Python, with which a test checks the S3 server of the tests.
provide_boto3() {
  python3 -c 'import boto3' 2> /dev/null || /usr/bin/python3 -c 'import boto3' 2> /dev/null || install_packages python3-boto3 ||
    echo 'ci: python3-boto3 could not be installed: the test that needs it is skipped'
}

# Provides the browser for the tests of the web app, with fonts for all scripts of its locales.
provide_browser() {
  [ -n "${CHROMIUM:-}" ] || command -v chromium > /dev/null || command -v google-chrome > /dev/null ||
    install_packages chromium fonts-noto-core
}

# Provides the browser that receives a push end to end.
provide_firefox() {
  [ -n "${FIREFOX:-}" ] || command -v firefox > /dev/null || command -v firefox-esr > /dev/null ||
    install_packages firefox-esr || echo 'ci: firefox-esr could not be installed: the test that needs it is skipped'
}

[ -n "${TEST_DATABASE_URL:-}" ] || provide_postgres
[ -n "${TEST_REDIS_URL:-}" ] || provide_redis
provide_program pgbouncer
provide_program haproxy
provide_program clamd clamav-daemon
provide_program turnserver coturn
provide_boto3
provide_browser
provide_firefox
export TEST_DATABASE_URL TEST_REDIS_URL
