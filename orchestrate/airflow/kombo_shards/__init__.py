"""Runs `tap-kombo | target` for thousands of integrations, a shard of them at a time.

`dag.py` is for Airflow; all else knows nothing of it. `python -m kombo_shards` does the same from
anything that can start a process.
"""
