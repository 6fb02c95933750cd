# ioc in one image: dashboard, program, and the files it reads. `docker compose build` or `docker build -t ioc .`
# Stages: web (the page) → build (the program, page inside) → the runtime: no compiler, no shell tools added, no root.

FROM node:22.22.0-bookworm-slim AS web
WORKDIR /src
COPY dashboard/package.json dashboard/package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --no-audit --no-fund
COPY dashboard ./
RUN npm run build

FROM rust:1.95.0-bookworm AS build
# `tls` builds TLS for Kafka and InfluxDB in (OpenSSL from source).
ARG IOC_FEATURES=""
WORKDIR /src
COPY . .
COPY --from=web /src/dist dashboard/dist
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin ioc --features "$IOC_FEATURES" && \
    install -D target/release/ioc /out/usr/local/bin/ioc && \
    install -d /out/etc/ioc /out/etc/ssl/certs && \
    cp -r pipelines schemas registry /out/etc/ioc/ && \
    cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/

FROM debian:12.13-slim
RUN groupadd --gid 10001 ioc && \
    useradd --uid 10001 --gid ioc --no-create-home --home-dir /var/lib/ioc --shell /usr/sbin/nologin ioc && \
    install -d -m 0750 -o ioc -g ioc /var/lib/ioc
COPY --from=build /out /
# Relative paths in settings are relative to /etc/ioc; an ioc.toml mounted there is found.
WORKDIR /etc/ioc
ENV IOC_DATA=/var/lib/ioc
VOLUME /var/lib/ioc
EXPOSE 8080
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["ioc", "health"]
CMD ["ioc", "run"]
