"""Run `tap-kombo | target` for thousands of integrations, in shards.

To follow a run, read `dag.py` (or `cli.py`, without Airflow), `shard.py`, `pipe.py`, `store.py` and
`result.py`.
"""
