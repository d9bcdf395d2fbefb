"""Runs `tap-kombo | target` for thousands of integrations, in shards.

`dag.py`, `shards_dag.py` and `connections.py` need Airflow. `python -m kombo_shards` runs a shard
without it.
"""
