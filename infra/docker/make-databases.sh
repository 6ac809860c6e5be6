#!/bin/sh
# Run once by PostgreSQL's image on an empty volume: one database for each program.
set -eu
for name in prefect mlflow audit; do
    psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
        --command "CREATE DATABASE $name OWNER $POSTGRES_USER"
done
