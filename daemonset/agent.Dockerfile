# The agent's image. From the root of the source tree: daemonset/build-images, or
#     buildah build -f daemonset/agent.Dockerfile -t spectap-agent .
ARG BASE=docker.io/library/debian:trixie-slim

FROM ${BASE} AS build
ENV PYTHONHASHSEED=0
# `compiled` rooms take half the CPU, and two minutes to build; `plain` leaves them as they are.
ARG ROOMS=compiled
RUN export DEBIAN_FRONTEND=noninteractive && apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends ca-certificates gcc libc6-dev python3-dev python3-setuptools \
        python3-venv
WORKDIR /build
COPY daemonset/agent.lock daemonset/agent-build.lock ./
RUN python3 -m venv --system-site-packages .venv \
    && python3 -m venv --system-site-packages --without-pip /opt/spectap \
    && locked="install -q --no-compile --no-deps --require-hashes --only-binary=:all:" \
    && .venv/bin/pip $locked -r agent-build.lock \
    && .venv/bin/pip --python /opt/spectap/bin/python $locked -r agent.lock
COPY pyproject.toml README.md LICENSE ./
COPY agent agent
COPY bpf bpf
COPY server/__init__.py server/__init__.py
COPY tools/compile tools/compile
# The time of the commit, of everything that states one: 1980 at the earliest, for the sake of wheels.
ARG SOURCE_DATE_EPOCH=315532800
RUN .venv/bin/pip wheel -q --no-deps --no-build-isolation -w dist . \
    && .venv/bin/pip --python /opt/spectap/bin/python install -q --no-compile --no-deps dist/*.whl \
    && cd /opt/spectap/lib/python3*/site-packages \
    && rm -rf server ../../../bin/spectap \
    && find . -name '*.so' -exec strip --strip-unneeded {} + \
    && if [ "$ROOMS" = compiled ]; then \
        rm -rf agent bpf && /build/tools/compile "$PWD"; \
    fi \
    && /opt/spectap/bin/python -m compileall -q --invalidation-mode unchecked-hash .

FROM ${BASE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE_DATE_EPOCH=315532800
LABEL org.opencontainers.image.title="spectap agent" \
    org.opencontainers.image.description="Captures HTTP and HTTPS exchanges of a node through eBPF, redacts and ships them" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
RUN export DEBIAN_FRONTEND=noninteractive && apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends python3-bpfcc \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/ldconfig/aux-cache /var/log/* /usr/share/doc/* /usr/share/man/* /usr/share/locale/*
COPY --from=build /opt/spectap /opt/spectap

# What is in the image, as CycloneDX lists it.
FROM runtime AS bill
ARG VERSION=0.1.0
ARG SOURCE_DATE_EPOCH=315532800
COPY --from=build /build/.venv /build/.venv
COPY daemonset/sbom /build/
RUN /build/.venv/bin/python /build/sbom spectap-agent "$VERSION" /opt/spectap/lib/python3*/site-packages >/sbom.cdx.json

FROM runtime
COPY --from=bill /sbom.cdx.json /usr/share/spectap/sbom.cdx.json
ENV PATH=/opt/spectap/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1
VOLUME /var/lib/spectap-agent
HEALTHCHECK CMD ["python3", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9464/healthz')"]
ENTRYPOINT ["spectap-agent"]
CMD ["run"]
