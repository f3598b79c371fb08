# What docker-compose.yml asks of its Redis image, made of Debian's package.
FROM python:3.11-slim
RUN apt-get update --quiet=2 && apt-get install --quiet=2 --no-install-recommends redis-server > /dev/null \
    && install --directory --owner redis /data
WORKDIR /data
USER redis
CMD ["redis-server"]
