"""The DAGs: one for each API key and database.

Airflow only reads files that contain both words, airflow and DAG, so keep this sentence.
"""

from kombo_shards.shards_dag import shards_dag

kombo = shards_dag("kombo")
