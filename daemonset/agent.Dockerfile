# The agent's image. From the root of the source tree: daemonset/build-images, or
#     buildah build -f daemonset/agent.Dockerfile -t spectap-agent .
ARG BASE=docker.io/library/debian:trixie-slim

FROM ${BASE} AS build
# `compiled` rooms take half the CPU, and two minutes to build; `plain` leaves them as they are.
ARG ROOMS=compiled
RUN export DEBIAN_FRONTEND=noninteractive && apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends ca-certificates gcc libc6-dev python3-dev python3-setuptools \
        python3-venv
WORKDIR /build
COPY daemonset/agent.lock daemonset/agent-build.lock ./
RUN python3 -m venv --system-site-packages .venv \
    && python3 -m venv --system-site-packages --without-pip /opt/spectap \
    && locked="install -q --no-deps --require-hashes --only-binary=:all:" \
    && .venv/bin/pip $locked -r agent-build.lock \
    && .venv/bin/pip --python /opt/spectap/bin/python $locked -r agent.lock
COPY pyproject.toml README.md LICENSE ./
COPY agent agent
COPY bpf bpf
COPY server/__init__.py server/__init__.py
COPY tools/compile tools/compile
RUN .venv/bin/pip wheel -q --no-deps --no-build-isolation -w dist . \
    && .venv/bin/pip --python /opt/spectap/bin/python install -q --no-deps dist/*.whl \
    && cd /opt/spectap/lib/python3*/site-packages \
    && rm -rf server ../../../bin/spectap \
    && find . -name '*.so' -exec strip --strip-unneeded {} + \
    && if [ "$ROOMS" = compiled ]; then \
        rm -rf agent bpf && /build/tools/compile "$PWD" && /opt/spectap/bin/python -m compileall -q agent; \
    fi

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="spectap agent" \
    org.opencontainers.image.description="Captures HTTP and HTTPS exchanges of a node through eBPF, redacts and ships them" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
RUN export DEBIAN_FRONTEND=noninteractive && apt-get update -qq \
    && apt-get install -qq -y --no-install-recommends python3-bpfcc \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /usr/share/doc/* /usr/share/man/* /usr/share/locale/*
COPY --from=build /opt/spectap /opt/spectap
ENV PATH=/opt/spectap/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1
VOLUME /var/lib/spectap-agent
HEALTHCHECK CMD ["python3", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9464/healthz')"]
ENTRYPOINT ["spectap-agent"]
CMD ["run"]
