# The scorer alone: what runs on the trading host. Build from the repository's root:
#   docker build -f infra/docker/scorer.Dockerfile -t sextant-scorer .
FROM python:3.11.13-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 DO_NOT_TRACK=1

RUN useradd --system --uid 10001 --user-group --no-create-home sextant \
    && install --directory --owner=sextant --group=sextant --mode=0750 \
       /var/lib/sextant /var/lib/sextant/run /var/lib/sextant/journal \
       /var/lib/sextant/bundles /var/lib/sextant/trusted

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY infra/constraints.txt infra/constraints.txt
COPY infra/config infra/config
COPY online online
COPY pipelines pipelines
COPY models models
COPY feature_repo feature_repo
RUN pip install --constraint infra/constraints.txt '.[online]' && rm -rf /src

WORKDIR /var/lib/sextant
USER 10001:10001
EXPOSE 8100
ENTRYPOINT ["sextant"]
CMD ["serve"]
