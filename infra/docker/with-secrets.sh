#!/bin/sh
# Becomes the given program, with PGPASSWORD read from the file that PGPASSWORD_FILE names:
# the password stands neither in the compose file nor in the image.
set -eu
if [ -n "${PGPASSWORD_FILE:-}" ]; then
    PGPASSWORD="$(cat "$PGPASSWORD_FILE")"
    export PGPASSWORD
fi
exec "$@"
