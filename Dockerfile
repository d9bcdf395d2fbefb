# docker build --tag tap-kombo .
FROM python:3.13-slim
RUN useradd --create-home --uid 1000 kombo

WORKDIR /build
COPY pyproject.toml README.md LICENSE CHANGELOG.md constraints.txt ./
COPY tap_kombo tap_kombo
COPY source_kombo source_kombo
RUN pip install --no-cache-dir --constraint constraints.txt uv
RUN uv venv /opt/kombo
RUN uv pip install --no-cache --python /opt/kombo --compile-bytecode --constraint constraints.txt --build-constraint constraints.txt .

USER kombo
WORKDIR /home/kombo
ENTRYPOINT ["/opt/kombo/bin/tap-kombo"]
