# syntax=docker/dockerfile:1
# A worker for batches, with the file systems of the large object stores.
#   docker build --file deploy/batch.Dockerfile --tag handigit-batch .
#   docker run --rm -v "$PWD:/data" handigit-batch /data/scans --out /data/numbers

FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE NOTICE constraints.txt ./
COPY licenses licenses
COPY samples samples
COPY src src
RUN python -m venv /opt/handigit \
 && /opt/handigit/bin/pip install --no-cache-dir --constraint constraints.txt '.[batch]' s3fs gcsfs adlfs \
 && /opt/handigit/bin/python -m compileall -q /opt/handigit/lib

FROM python:3.12-slim
LABEL org.opencontainers.image.title="Handigit batch" org.opencontainers.image.licenses="MIT"
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin handigit
COPY --from=build /opt/handigit /opt/handigit
ENV PATH=/opt/handigit/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1
USER 10001
WORKDIR /tmp
ENTRYPOINT ["handigit", "batch"]
