# The image of tasksdk.prebuilt.sqlite.SQLite3Task: Python, the task SDK, the executor.
# Its context is a folder with the wheels of imagebuilder, tasksdk, flyteidl2 and protobuf:
#   Image.from_dockerfile("dockerfiles/tasks/sqlite.Dockerfile", context="wheels", name="sqlite-task", registry=...)
ARG BASE=docker.io/library/python:3.11-slim-bookworm
FROM ${BASE}
# The SDK needs nothing that these wheels do not hold: unpacking them is all there is to install, with pip or without.
RUN --mount=type=bind,target=/wheels \
    for wheel in imagebuilder tasksdk flyteidl2 protobuf; do python3 -m zipfile -e /wheels/$wheel-*.whl /opt/task; done \
 && printf '#!/bin/sh\nexec python3 -m tasksdk.executor "$@"\n' > /usr/local/bin/tasksdk-execute \
 && chmod 755 /usr/local/bin/tasksdk-execute \
 && ln -s tasksdk-execute /usr/local/bin/pyflyte-execute
ENV PYTHONPATH=/opt/task
WORKDIR /tmp
USER 1000
