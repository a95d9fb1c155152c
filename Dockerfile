# An image with vgen and nothing of this repository but the wheel that is built from it.
#   docker build -t vgen .                                with extras: --build-arg EXTRAS=cluster,timeline
#   docker run --rm --init --user "$(id -u):$(id -g)" -v "$PWD:/film" vgen plan
# docs/how-to/ci.md has the rest.

FROM python:3.12-slim AS build
WORKDIR /vgen
COPY . .
RUN pip install --no-cache-dir build && python -m build --wheel --outdir /dist

FROM python:3.12-slim
ARG EXTRAS=""
RUN --mount=type=bind,from=build,source=/dist,target=/dist \
    pip install --no-cache-dir "$(echo /dist/*.whl)${EXTRAS:+[$EXTRAS]}"
WORKDIR /film
ENTRYPOINT ["vgen"]
