# A container image with the static binary and nothing else:
#
#   docker build -t troupe --build-arg COMMIT=$(git rev-parse --short=12 HEAD) .
#   docker run -p 9092:9092 -v troupe:/var/lib/troupe -e TROUPE_ADVERTISED_LISTENERS=PLAINTEXT://localhost:9092 troupe
#
# Settings are variables of the environment (see README.md). Without advertised listeners clients are told the container's own address.
FROM golang:1.26 AS build
ARG VERSION=0.1.0-dev
ARG COMMIT=unknown
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN make bin/troupe VERSION=$VERSION COMMIT=$COMMIT && mkdir -p /image/usr/bin /image/var/lib/troupe && cp bin/troupe /image/usr/bin/

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /image/usr /usr
# The data belongs to the user that the broker runs as; a volume takes this over.
COPY --from=build --chown=10001:10001 /image/var/lib/troupe /var/lib/troupe
USER 10001:10001
VOLUME /var/lib/troupe
# Kafka, health and metrics.
EXPOSE 9092 9644
ENV TROUPE_LOG_DIRS=/var/lib/troupe/data TROUPE_HTTP_LISTENER=:9644
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["/usr/bin/troupe", "topic", "list", "--quiet", "--timeout", "4s", "--brokers", "127.0.0.1:9092"]
ENTRYPOINT ["/usr/bin/troupe"]
CMD ["start"]
