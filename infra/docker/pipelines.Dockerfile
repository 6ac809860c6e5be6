# Everything offline: flows, Feast, training, MLflow, Prefect and the replaying feed.
# Build from the repository's root:
#   docker build -f infra/docker/pipelines.Dockerfile -t sextant-pipelines .
FROM python:3.11.13-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 DO_NOT_TRACK=1 \
    PREFECT_SERVER_ANALYTICS_ENABLED=false MLFLOW_DISABLE_TELEMETRY=true

# LightGBM and XGBoost use OpenMP.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /var/lib/sextant sextant \
    && install --directory --owner=sextant --group=sextant --mode=0750 \
       /var/lib/sextant /var/lib/sextant/run /var/lib/sextant/trusted \
       /var/lib/sextant/artifacts

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY infra/constraints.txt infra/constraints.txt
COPY infra/config infra/config
COPY online online
COPY pipelines pipelines
COPY models models
COPY feature_repo feature_repo
# torch first, at exactly its pinned version. Its small CPU build lies on an index of its own:
#   --build-arg PIP_EXTRA_INDEX_URL=...
ARG PIP_EXTRA_INDEX_URL=""
RUN pip install --constraint infra/constraints.txt "$(grep '^torch==' infra/constraints.txt)" \
    && pip install --constraint infra/constraints.txt '.[demo]' && rm -rf /src

COPY --chmod=0755 infra/docker/with-secrets.sh /usr/local/bin/with-secrets
WORKDIR /var/lib/sextant
USER 10001:10001
ENTRYPOINT ["with-secrets"]
CMD ["sextant", "--help"]
