#!/bin/sh
# For cron, from within a Meltano project: an own run, with an own state, for each integration.
#
#   kombo-el.sh INTEGRATIONS [AT_ONCE]
#
# INTEGRATIONS is a file with an id on each line. Never `meltano run` here: in one project, runs at
# the same time take each other's state. Exit status 0 if all runs succeeded, else 123.
set -u
el='
    export TAP_KOMBO_INTEGRATION_IDS="[\"$1\"]"
    exec meltano el --state-id "kombo-$1" tap-kombo target-postgres
'
failed=0
# The first one alone: Meltano makes its database, and the target its tables, if they are not there.
head -n 1 "$1" | xargs -n 1 sh -c "$el" sh || failed=123
tail -n +2 "$1" | xargs -r -n 1 -P "${2:-4}" sh -c "$el" sh || failed=123
exit "$failed"
