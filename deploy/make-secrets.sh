#!/bin/sh
# Makes the passwords that compose.yaml needs, each random, into deploy/secrets (never committed). Run it once.
set -eu
umask 077
cd "$(dirname "$0")/secrets"

if [ -e service.env ]; then
  echo "deploy/secrets holds passwords already; delete them first if the database and its users are gone, too." >&2
  exit 1
fi

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
database=$(random)
broker=$(random)

# Hashed in place, so that no password ever stands in a process list.
printf 'streetwarden:%s\n' "$broker" > mosquitto.passwd
if command -v mosquitto_passwd >/dev/null; then
  mosquitto_passwd -U mosquitto.passwd
else
  docker run --rm -v "$PWD:/secrets" eclipse-mosquitto:2 mosquitto_passwd -U /secrets/mosquitto.passwd
fi

printf '%s' "$database" > postgres_password
{
  printf 'STREETWARDEN_DATABASE_URL=postgresql://streetwarden:%s@postgres:5432/streetwarden\n' "$database"
  printf 'STREETWARDEN_MQTT_URL=mqtt://streetwarden:%s@mosquitto:1883\n' "$broker"
} > service.env
echo "Wrote postgres_password, mosquitto.passwd and service.env to deploy/secrets."
