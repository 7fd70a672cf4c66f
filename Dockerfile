# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim
# `embedded` has the emulator, `flower` the monitor: both run from this image.
ARG EXTRAS=embedded,flower
RUN --mount=from=build,source=/wheels,target=/wheels \
    wheel=$(echo /wheels/pushtasks-*.whl) && pip install --no-cache-dir "$wheel[$EXTRAS]"

RUN useradd --create-home --uid 1000 pushtasks \
    && install --directory --owner pushtasks /emulator
WORKDIR /home/pushtasks
USER pushtasks

ENV PYTHONUNBUFFERED=1
STOPSIGNAL SIGTERM
# For workers: docker-compose.yml has other checks for the other services.
HEALTHCHECK --interval=30s --timeout=15s --start-period=20s \
    CMD celery -A pushtasks inspect ping --destination "celery@$HOSTNAME" || exit 1
CMD ["celery", "-A", "pushtasks", "worker", "--loglevel", "INFO"]
