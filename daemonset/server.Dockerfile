# The server's image. From the root of the source tree: daemonset/build-images, or
#     buildah build -f daemonset/server.Dockerfile -t spectap-server .
ARG BASE=docker.io/library/debian:trixie-slim

FROM ${BASE} AS build
ENV PYTHONHASHSEED=0
RUN export DEBIAN_FRONTEND=noninteractive && apt-get update -qq && apt-get install -qq -y --no-install-recommends binutils ca-certificates python3-venv
WORKDIR /build
COPY daemonset/server.lock daemonset/server-build.lock ./
RUN python3 -m venv .venv \
    && python3 -m venv --without-pip /opt/spectap \
    && locked="install -q --no-compile --no-deps --require-hashes --only-binary=:all:" \
    && .venv/bin/pip $locked -r server-build.lock \
    && .venv/bin/pip --python /opt/spectap/bin/python $locked -r server.lock \
    && rm -rf /opt/spectap/lib/python3*/site-packages/pip /opt/spectap/bin/pip*
COPY pyproject.toml README.md LICENSE ./
COPY agent/__init__.py agent/__init__.py
COPY agent/wire agent/wire
COPY bpf bpf
COPY agent/kube agent/kube
COPY server server
# The time of the commit, of everything that states one: 1980 at the earliest, for the sake of wheels.
ARG SOURCE_DATE_EPOCH=315532800
RUN .venv/bin/pip wheel -q --no-deps --no-build-isolation -w dist . \
    && .venv/bin/pip --python /opt/spectap/bin/python install -q --no-compile --no-deps dist/*.whl \
    && cd /opt/spectap/lib/python3*/site-packages \
    && rm -rf bpf ../../../bin/spectap-agent \
    && find . -name '*.so' -exec strip --strip-unneeded {} + \
    && /opt/spectap/bin/python -m compileall -q --invalidation-mode unchecked-hash .

FROM ${BASE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE_DATE_EPOCH=315532800
LABEL org.opencontainers.image.title="spectap server" \
    org.opencontainers.image.description="Compares captured API calls with their OpenAPI specifications" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
RUN export DEBIAN_FRONTEND=noninteractive && apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/ldconfig/aux-cache /var/log/* /usr/share/doc/* /usr/share/man/* /usr/share/locale/* \
    && useradd --uid 10001 --user-group --home-dir /var/lib/spectap --create-home spectap
COPY --from=build /opt/spectap /opt/spectap

# What is in the image, as CycloneDX lists it.
FROM runtime AS bill
ARG VERSION=0.1.0
ARG SOURCE_DATE_EPOCH=315532800
COPY --from=build /build/.venv /build/.venv
COPY daemonset/sbom /build/
RUN /build/.venv/bin/python /build/sbom spectap-server "$VERSION" /opt/spectap/lib/python3*/site-packages >/sbom.cdx.json

FROM runtime
COPY --from=bill /sbom.cdx.json /usr/share/spectap/sbom.cdx.json
ENV PATH=/opt/spectap/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1 \
    SPECTAP_DATA=/var/lib/spectap SPECTAP_LISTEN=0.0.0.0:8080
USER 10001:10001
VOLUME /var/lib/spectap
EXPOSE 8080
HEALTHCHECK CMD ["python3", "-c", "import os, ssl; from urllib.request import urlopen; \
    scheme = 'https' if os.environ.get('SPECTAP_TLS_CERT') else 'http'; \
    urlopen(scheme + '://127.0.0.1:8080/healthz', context=ssl._create_unverified_context())"]
ENTRYPOINT ["spectap"]
CMD ["server"]
