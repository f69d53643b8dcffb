# Keyturn in a container; how to run it is in docs/install.md. It was not built where it was written, for want of a
# container engine: tests/docs/test_container.py holds that all it copies is there, and all that the bot imports is copied.
FROM python:3.11-slim AS packages
COPY requirements-run.lock .
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements-run.lock

FROM python:3.11-slim
RUN install -d -o 10001 -g 10001 -m 700 /data
COPY --from=packages /venv /venv
WORKDIR /keyturn
COPY bot bot
COPY handlers handlers
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 KEYTURN_DATA=/data HOME=/data
USER 10001:10001
ENTRYPOINT ["python", "-m", "bot"]
