# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim
# `embedded` has the emulator, `flower` the monitor, `serve` the HTTP service and metrics: all run
# from this image. `embedded` is not needed in production.
ARG EXTRAS=embedded,flower,serve
RUN --mount=from=build,source=/wheels,target=/wheels \
    wheel=$(echo /wheels/pushtasks-*.whl) && pip install --no-cache-dir "$wheel[$EXTRAS]"

RUN useradd --create-home --uid 1000 pushtasks \
    && install --directory --owner pushtasks /emulator
WORKDIR /home/pushtasks
USER pushtasks

ENV PYTHONUNBUFFERED=1 \
    PUSHTASKS_ALIVE_FILE=/tmp/alive
STOPSIGNAL SIGTERM
# For workers, which touch the file every two seconds: docker-compose.yml has other checks for the
# other services. `celery inspect ping` would cost most of a second of a processor each time.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
    CMD find /tmp/alive -mmin -1 | grep -q .
CMD ["celery", "-A", "pushtasks", "worker", "--loglevel", "INFO"]
