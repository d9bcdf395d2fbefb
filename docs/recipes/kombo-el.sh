#!/bin/sh
# For cron, in a Meltano project: a run with its own state for each integration.
#
#   kombo-el.sh INTEGRATIONS [MAX_ACTIVE_RUNS]
#
# INTEGRATIONS is a file with an id on each line. Exit status 0 if all runs succeeded, otherwise 123.
# Do not use `meltano run`: concurrent runs in one project share a state file.
set -u
el='
    export TAP_KOMBO_INTEGRATION_IDS="[\"$1\"]"
    exec meltano el --state-id "kombo-$1" tap-kombo target-postgres
'
status=0
# The first run is alone, because Meltano creates its database, and the target its tables.
head -n 1 "$1" | xargs -n 1 sh -c "$el" sh || status=123
tail -n +2 "$1" | xargs -r -n 1 -P "${2:-4}" sh -c "$el" sh || status=123
exit "$status"
