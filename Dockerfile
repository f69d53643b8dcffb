# Keyturn in a container; how to run it is in docs/install.md. It was built and run where it was written, with buildah and podman,
# but on Debian's Python and not on this base: no image registry could be reached. The digest is one that two public
# repositories build on; give a newer one with --build-arg PYTHON=python:3.11-slim@sha256:…
ARG PYTHON=python:3.11-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7

FROM ${PYTHON} AS packages
ARG OIDC=""
COPY requirements-run.lock .
COPY requirements-oidc.lock .
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements-run.lock ${OIDC:+-r requirements-oidc.lock}

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
