# One image for every process: web, relay, worker, worker-slow, beat, flower, supervisor and agent differ by command only
# (see Procfile and deploy/). Without a command it is the whole platform on one machine.
FROM python:3.13-slim AS packages
COPY requirements.lock /
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: -r /requirements.lock

FROM python:3.13-slim AS platform
ARG VERSION=1.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="AiWorker" \
      org.opencontainers.image.description="A self-hosted control plane for AI coding agents" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# git: the local forge and every agent. tini: collects what agents leave behind and passes signals on. bubblewrap and
# slirp4netns: the sandbox, where the container may make namespaces (see docs/security.md).
RUN apt-get update \
    && apt-get install -y --no-install-recommends bubblewrap ca-certificates git slirp4netns tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --shell /usr/sbin/nologin aiworker \
    && install -d -o aiworker -g aiworker -m 0700 /data

COPY --from=packages /venv /venv
COPY . /app
RUN printf '#!/bin/sh\nexec /venv/bin/python -P -m web.cli "$@"\n' >/venv/bin/aiworker \
    && chmod 755 /venv/bin/aiworker \
    && python -m compileall -q /app \
    && chmod -R a+rX /app

# A container is reached from outside of itself, so here alone it listens on every address.
ENV PATH=/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    AIWORKER_HOST=0.0.0.0 \
    AIWORKER_PORT=3000 \
    AIWORKER_DATA_DIR=/data

WORKDIR /app
USER 10001
VOLUME /data
EXPOSE 3000
# For the web process, or all of `aiworker up`; the manifests in deploy/ bring probes of their own.
HEALTHCHECK --interval=15s --timeout=3s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['AIWORKER_PORT'] + '/api/health/live', timeout=2)"]
ENTRYPOINT ["tini", "--"]
CMD ["aiworker", "up"]

# For agents: with Node.js and the programs of the drivers. `docker build --target agent --tag aiworker-agent .`
FROM platform AS agent
USER root
RUN apt-get update \
    && apt-get install -y --no-install-recommends nodejs npm ripgrep \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o aiworker -g aiworker /opt/aiworker-drivers
USER 10001
# An agent's container is itself the sandbox: give it nothing but the agent.
ENV AIWORKER_AGENT_DRIVERS_DIR=/opt/aiworker-drivers \
    AIWORKER_SANDBOX=off
# A cluster may run an agent as another user than this one (AIWORKER_KUBE_RUN_AS_USER).
RUN aiworker drivers install claude codex gemini opencode qwen \
    && npm cache clean --force \
    && chmod -R a+rX /opt/aiworker-drivers
CMD ["aiworker", "agent", "--help"]

# Without a target: the platform.
FROM platform
