# Keyturn in a container; how to run it is in docs/install.md. It was built and run where it was written, with buildah and podman,
# but on Debian's Python and not on this base: no image registry could be reached. For the same reason the base has no digest;
# give yours with --build-arg PYTHON=python:3.11-slim@sha256:…
ARG PYTHON=python:3.11-slim

FROM ${PYTHON} AS packages
COPY requirements-run.lock .
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements-run.lock

FROM ${PYTHON}
LABEL org.opencontainers.image.title="keyturn" \
      org.opencontainers.image.description="A Slack bot that rotates an AI gateway's upstream credential without an outage." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN install -d -o 10001 -g 10001 -m 700 /data
COPY --from=packages /venv /venv
WORKDIR /keyturn
COPY bot bot
COPY handlers handlers
COPY deploy/healthcheck.py healthcheck.py
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 KEYTURN_DATA=/data HOME=/data PORT=3000 WORKER_PORT=3001
USER 10001:10001
EXPOSE 3000 3001
HEALTHCHECK --start-period=30s --timeout=10s CMD ["python", "healthcheck.py"]
ENTRYPOINT ["python", "-m", "bot"]
