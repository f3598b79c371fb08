# What docker-compose.yml asks of its Prometheus image, made of Debian's package.
FROM python:3.11-slim
RUN apt-get update --quiet=2 && apt-get install --quiet=2 --no-install-recommends prometheus wget > /dev/null \
    && install --directory --owner nobody /prometheus
WORKDIR /prometheus
USER nobody
ENTRYPOINT ["prometheus"]
