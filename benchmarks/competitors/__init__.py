"""The tools that tap-kombo is compared with, one file each.

Except for the naive tap, they are scripts for environments without this project. A script's
argument is a JSON file with `api_url`, `api_key`, `integration_ids`, `paths` (stream -> path) and
`concurrency`; `postgres` is the folder of the server's socket.
"""
