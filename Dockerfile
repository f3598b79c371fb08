# One image for every stage and for the gateway; docker-compose.yml says which of them a container runs. On its own it serves
# the whole Flow: docker run -p 127.0.0.1:8080:8080 -v deepsearch:/data deepsearch
# BASE is any Debian or Ubuntu image with Python 3.11, pip and venv; jina runs on no newer Python.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv /opt/python
COPY pyproject.toml requirements.lock ./
# Dependencies first: they stay in the build cache when only the project changes.
RUN /opt/python/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
      > dependencies.txt \
    && /opt/python/bin/python -m pip install --quiet --constraint requirements.lock --requirement dependencies.txt
# What nothing runs is a third of it: symbols for debuggers, tests, sources and headers of C, and of single packages their locales
# (babel's serve to guess the language of a URL), a program (html_to_markdown), a second backend (zstandard), and jina's means to
# start containers (docker) and to elect leaders (jraft). Libraries in *.libs were moved there by patchelf; strip breaks them.
RUN apt-get update --quiet=2 && apt-get install --quiet=2 --no-install-recommends binutils > /dev/null
RUN cd /opt/python/lib/python3.11/site-packages \
    && find . -type d \( -name tests -o -name test \) -prune -exec rm -rf {} + \
    && find . -type f -regex '.*\.\(pyi\|pyx\|pxd\|c\|cc\|cpp\|h\|hpp\|a\)' -delete \
    && rm -rf babel/locale-data/* html_to_markdown/bin zstandard/_cffi.*.so docker docker-*.dist-info jraft.* \
    && find . -type f -name '*.so*' -not -path '*.libs/*' -exec strip --strip-unneeded {} +
COPY README.md flow.yml ./
COPY schemas schemas
COPY telemetry telemetry
COPY providers providers
COPY executors executors
COPY gateway gateway
COPY deepsearch deepsearch
RUN /opt/python/bin/python -m pip install --quiet --no-deps --target /app . && /opt/python/bin/python -m pip uninstall --quiet --yes pip

FROM ${BASE}
RUN echo 'deepsearch:x:10001:10001::/tmp:/usr/sbin/nologin' >> /etc/passwd && echo 'deepsearch:x:10001:' >> /etc/group \
    && mkdir --mode 0700 /data && chown 10001:10001 /data
COPY --from=build /opt/python /opt/python
COPY --from=build /app /app
# jina keeps lock files in HOME. The root file system may be read-only when /tmp is a tmpfs and /data a volume.
ENV PATH=/opt/python/bin:/app/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HOME=/tmp DEEPSEARCH_HOME=/data DEEPSEARCH_HOST=0.0.0.0 JINA_LOG_LEVEL=WARNING JINA_OPTOUT_TELEMETRY=1
# `uses: executors/...` of the Flow begins here.
WORKDIR /app
USER 10001:10001
VOLUME /data
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
# The gateway answers once every stage does. Containers that run one stage have checks of their own in docker-compose.yml.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-m", "deepsearch.probing", "127.0.0.1:8081"]
CMD ["deepsearch", "serve"]
