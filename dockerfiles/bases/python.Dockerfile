# A stand-in for the official python:*-slim image, made of Debian's packages.
# scripts/engine makes the root file systems, rootfs-ARCHITECTURE.tar.
FROM scratch
ARG TARGETARCH
ADD rootfs-${TARGETARCH}.tar /
ARG PYTHON_VERSION
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 \
    PYTHON_VERSION=${PYTHON_VERSION}
CMD ["python3"]
