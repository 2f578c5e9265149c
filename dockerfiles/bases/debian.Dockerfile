# A stand-in for the official debian:*-slim image, made of Debian's packages.
# scripts/engine makes the root file systems, rootfs-ARCHITECTURE.tar.
FROM scratch
ARG TARGETARCH
ADD rootfs-${TARGETARCH}.tar /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
CMD ["bash"]
