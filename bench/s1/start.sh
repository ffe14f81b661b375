#!/bin/bash
# Starts Sendoff for scenarios S1, S4 and unloaded: a clean store, the step of the reference systems, port 8090.
#   start.sh [published folder]      publish first: dotnet publish src/Sendoff -c Release -o FOLDER
# The data lie in $BENCH_HOME/sendoff-data. The trigger is http://127.0.0.1:8090/hooks/hook
folder=${1:-${BENCH_HOME:-/tmp}/bin/sendoff}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
data=${BENCH_HOME:-/tmp}/sendoff-data
token=a-token-for-benchmarks
rm -rf "$data"
# The port opens before the workflow is there; the load generator asks until the first event makes the round trip.
( until SENDOFF_TOKEN=$token "$folder/sendoff" deploy "$here/orders" --server http://127.0.0.1:8090 >/dev/null 2>&1; do sleep 0.2; done ) &
exec "$folder/sendoff" serve --data "$data" --listen http://127.0.0.1:8090 --set "Auth:Token=$token" --set Egress:Allow=127.0.0.0/8
