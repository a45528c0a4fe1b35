# One image for every process: ingest, api, migrate. Versions come from requirements.lock alone.

FROM python:3.12-slim AS base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PATH=/opt/streetwarden/bin:$PATH

# Installs into a folder that the last stage takes over; nothing else of this stage gets there.
FROM base AS install
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/streetwarden
WORKDIR /build
# The libraries first: a change of our own code then reuses this layer.
COPY requirements.lock ./
RUN pip install --no-deps -r requirements.lock
COPY pyproject.toml ./
COPY src src
COPY simulators simulators
COPY migrations migrations
RUN pip install --no-deps . && pip check

FROM base AS runtime
RUN groupadd --system --gid 10001 streetwarden \
 && useradd --system --uid 10001 --gid streetwarden --home-dir /var/lib/streetwarden --create-home streetwarden
COPY --from=install /opt/streetwarden /opt/streetwarden
USER streetwarden
WORKDIR /var/lib/streetwarden
ENV STREETWARDEN_DATA_DIR=/var/lib/streetwarden
VOLUME /var/lib/streetwarden
EXPOSE 8000
ENTRYPOINT ["streetwarden"]
CMD ["api"]
# Of the API; compose.yaml gives the other processes their own.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/v1/health/live', timeout=4)"]
