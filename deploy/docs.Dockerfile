# syntax=docker/dockerfile:1
# The documentation as a site of its own, with the live demo.
#   docker build --file deploy/docs.Dockerfile --tag handigit-docs .
#   docker run --rm --publish 127.0.0.1:8080:8080 handigit-docs

FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md CHANGELOG.md LICENSE NOTICE constraints.txt mkdocs.yml ./
COPY licenses licenses
COPY scripts scripts
COPY samples samples
COPY src src
COPY docs docs
RUN python -m venv /opt/docs \
 && /opt/docs/bin/pip install --no-cache-dir --constraint constraints.txt '.[app,docs,forms,batch,sklearn]' \
 && NO_MKDOCS_2_WARNING=1 /opt/docs/bin/python -m mkdocs build --strict --site-dir /site

FROM nginxinc/nginx-unprivileged:1.29-alpine
LABEL org.opencontainers.image.title="Handigit documentation" org.opencontainers.image.licenses="MIT"
COPY --from=build /site /usr/share/nginx/html
EXPOSE 8080
