# Two images of the same installation, the tap's and Airbyte's:
#   docker build --tag tap-kombo .
#   docker build --target source-kombo --tag source-kombo .
FROM python:3.13-slim AS installation
WORKDIR /build
COPY pyproject.toml README.md LICENSE CHANGELOG.md constraints.txt ./
COPY tap_kombo tap_kombo
COPY source_kombo source_kombo
RUN pip install --constraint constraints.txt uv
RUN uv venv /opt/kombo
RUN uv pip install --python /opt/kombo --compile-bytecode --constraint constraints.txt --build-constraint constraints.txt .

FROM python:3.13-slim AS base
RUN useradd --create-home --uid 1000 kombo
COPY --from=installation /opt/kombo /opt/kombo
ENV PATH=/opt/kombo/bin:$PATH
USER kombo
WORKDIR /home/kombo

FROM base AS source-kombo
# Airbyte starts this command instead of the entry point.
ENV AIRBYTE_ENTRYPOINT=/opt/kombo/bin/source-kombo
ENTRYPOINT ["/opt/kombo/bin/source-kombo"]

FROM base AS tap-kombo
ENTRYPOINT ["tap-kombo"]
