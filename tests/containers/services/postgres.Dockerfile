# What docker-compose.yml asks of its PostgreSQL image, made of Debian's packages: a database for POSTGRES_USER with POSTGRES_PASSWORD.
FROM python:3.11-slim
RUN apt-get update --quiet=2 && apt-get install --quiet=2 --no-install-recommends postgresql > /dev/null \
    && ln --symbolic /usr/lib/postgresql/*/bin/* /usr/local/bin/ \
    && install --directory --owner postgres --mode 0700 /var/lib/postgresql/data \
    && chmod 3777 /var/run/postgresql
ENV PGDATA=/var/lib/postgresql/data
USER postgres
STOPSIGNAL SIGINT
CMD test -s "$PGDATA/PG_VERSION" || { \
      printf %s "${POSTGRES_PASSWORD:?is not set}" > /tmp/password \
      && initdb --username "$POSTGRES_USER" --pwfile /tmp/password --auth-local trust --auth-host scram-sha-256 --encoding UTF8 --locale C.UTF-8 \
      && echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf" \
      && echo "CREATE DATABASE $POSTGRES_DB" | postgres --single postgres; } \
    && exec postgres -c listen_addresses='*'
