#!/bin/sh
# Has each call of gotestsum write a report of its own. It stands first on PATH, before gotestsum itself.
set -f
own=${0%/*}
if [ "$GOTESTSUM_JUNITFILE" = "${own%/*}/gotestsum.xml" ]; then
    # By the time first: of tests with equal names the order of the files counts.
    GOTESTSUM_JUNITFILE=${own%/*}/gotestsum-$(date +%s)-$(printf %010d $$).xml
fi
others=
IFS=:
for folder in $PATH; do
    [ "$folder" = "$own" ] || others=$others:$folder
done
PATH=${others#:} exec gotestsum "$@"
