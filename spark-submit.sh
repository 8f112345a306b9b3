#!/usr/bin/env bash
#
# The front door: makes the environment once, then hands over to Spark's own spark-submit.
#
#   ./spark-submit.sh [COMMAND] [ARGUMENTS] [SPARK OPTIONS] [-- ARGUMENTS]
#
# Options of spark-submit (--master, --conf, --packages, ...) may stand anywhere before a bare `--`;
# what follows it belongs to the command, and so does everything after `test`. No command is `demo`.
# Paths are relative to where you are. `./spark-submit.sh --help` says what the commands are.

set -eo pipefail

tell() { echo "spark-submit.sh: $*" >&2; }
fail() { tell "$*"; exit 2; }

# The folder of this file, whatever links lead to it.
script=${BASH_SOURCE[0]}
while [ -L "$script" ]; do
  link=$(readlink "$script")
  case $link in
    /*) script=$link ;;
    *) script=$(dirname "$script")/$link ;;
  esac
done
root=$(CDPATH='' cd "$(dirname "$script")" && pwd -P)
venv=$root/.venv

# 1. The command line: Spark's options and the rest.

takes_value() {
  case $1 in
    --master | --remote | --deploy-mode | --class | --name | --conf | -c | --properties-file | \
      --jars | --packages | --exclude-packages | --repositories | --py-files | --files | --archives | \
      --driver-memory | --driver-java-options | --driver-library-path | --driver-class-path | \
      --driver-cores | --executor-memory | --executor-cores | --total-executor-cores | --num-executors | \
      --proxy-user | --principal | --keytab | --queue | --kill | --status | \
      --driver-default-class-path | --extra-properties-file) return 0 ;;
  esac
  return 1
}

spark_options=() words=()
master='' deploy_mode='' jars=''

keep() { # NAME VALUE: remember what decides how Spark is called
  case $1=$2 in
    --master=* | --remote=*) master=$2 ;;
    --conf=spark.master=* | -c=spark.master=*) [ "$master" ] || master=${2#spark.master=} ;;
    --deploy-mode=*) deploy_mode=$2 ;;
    --conf=spark.submit.deployMode=* | -c=spark.submit.deployMode=*)
      [ "$deploy_mode" ] || deploy_mode=${2#spark.submit.deployMode=} ;;
    --jars=*) jars=$2; return ;;
    --conf=spark.jars=* | -c=spark.jars=*) [ "$jars" ] || jars=${2#spark.jars=}; return ;;
  esac
  spark_options+=("$1" "$2")
}

while [ $# -gt 0 ]; do
  case $1 in
    --) shift; words+=("$@"); break ;;
    -v | --verbose | --version | --supervise | --load-spark-defaults) spark_options+=("$1"); shift ;;
    --*=*)
      if takes_value "${1%%=*}"; then keep "${1%%=*}" "${1#*=}"; else words+=("$1"); fi
      shift ;;
    *)
      if takes_value "$1"; then
        [ $# -gt 1 ] || fail "$1 needs a value"
        keep "$1" "$2"; shift 2
      elif [ "$1" = test ] && [ ${#words[@]} = 0 ]; then words=("$@"); break
      else words+=("$1"); shift
      fi ;;
  esac
done

set -- "${words[@]}"
if [ "$1" = help ]; then shift; set -- "$@" --help; fi
case $1 in
  -h | --help) ;;
  '' | -*) set -- demo "$@" ;;
esac
help=''
for word in "$@"; do
  case $word in -h | --help) help=yes ;; esac
done

# 2. The environment: made once, by conf/environment.py.

find_python() {
  local suitable='python3.13 python3.12 python3.11 python3.14' name
  if [ "$PYTHON" ]; then
    command -v "$PYTHON" || fail "PYTHON=$PYTHON is not a program"
    return
  fi
  if [ -x "$venv/bin/python" ]; then echo "$venv/bin/python"; return; fi
  name=$(python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])' 2>/dev/null) || true
  case " $suitable " in *" $name "*) command -v python3; return ;; esac
  for name in $suitable; do
    if "$name" -c '' 2>/dev/null; then command -v "$name"; return; fi
  done
  command -v python3 || fail "Python 3.11 or newer is needed, and there is no python3 on PATH;" \
    "install one, or name it: PYTHON=/path/to/python3 ./spark-submit.sh ..."
}

extra=''
if [ ! "$help" ]; then
  case $1 in test | bench) extra=test ;; esac
  if [ "$1" = test ] && [ "$2" != fast ]; then extra+=' --browser'; fi
fi
python=$(find_python)
JAVA_HOME=$("$python" -IS "$root/conf/environment.py" $extra)

use() { # NAME VALUE [ADVICE]: export a variable, and say so when it replaces the user's
  local theirs=${!1}
  if [ "$theirs" ] && [ "$theirs" != "$2" ]; then tell "not used here: $1=$theirs$3"; fi
  export "$1=$2"
}

export JAVA_HOME
for spark in "$venv"/lib/python3.*/site-packages/pyspark; do use SPARK_HOME "$spark"; done
use SPARK_CONF_DIR "$root/conf" ' (name a file of it with --properties-file)'
use PYSPARK_PYTHON "$venv/bin/python"
use PYTHONPATH "$root"
export PYTHONSAFEPATH=1 # the folder one is in, or that of a program, is no place for modules
unset PYTHONHOME PYSPARK_DRIVER_PYTHON

# 3. The command.

step() { # NAME COMMAND ...
  local name=$1
  shift
  echo "== $name"
  "$@" || failed="$failed, $name"
}

run_tests() { # [fast] [ARGUMENTS OF PYTEST]
  local python=$venv/bin/python fast='' failed=''
  [ ${#spark_options[@]} = 0 ] || fail "Spark options have no effect on test: ${spark_options[*]}"
  cd "$root"
  if [ "$1" = fast ]; then
    fast=yes
    shift
    set -- tests/udfs tests/conf "$@"
  fi
  step 'ruff check' "$python" -m ruff check
  step 'ruff format' "$python" -m ruff format --check
  [ "$fast" ] || step mypy "$python" -m mypy
  step pytest "$python" -m pytest "$@"
  if [ "$failed" ]; then
    echo "== FAILED after $SECONDS s: ${failed#, }"
    return 1
  fi
  echo "== all passed in $SECONDS s"
}

submit() { # COMMAND [ARGUMENTS]
  local options=(--load-spark-defaults) jar
  case ${master:-local} in
    local | local\[*) export SPARK_LOCAL_IP=${SPARK_LOCAL_IP:-127.0.0.1} ;;
    *)
      for jar in "$SPARK_HOME"/jars/delta-s*.jar; do jars=$jar${jars:+,$jars}; done
      options+=(--conf spark.ui.enabled=true)
      ;;
  esac
  [ "$jars" ] && options+=(--jars "$jars")
  # On the workers Python may be another one (spark.pyspark.python), the driver here is ours.
  [ "$deploy_mode" = cluster ] || options+=(--conf "spark.pyspark.driver.python=$PYSPARK_PYTHON")
  exec "$SPARK_HOME/bin/spark-submit" "${options[@]}" "${spark_options[@]}" "$root/jobs/__main__.py" "$@"
}

if [ "$help" ] || [ "$1" = package ] || [ "$1" = fetch ]; then exec "$venv/bin/python" -m jobs "$@"; fi
if [ "$1" = test ]; then
  shift
  run_tests "$@"
else
  "$venv/bin/python" -m jobs check "$@"
  submit "$@"
fi
