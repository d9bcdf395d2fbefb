"""The DAGs: one for each Kombo key and database.

Airflow reads only files that have both words, airflow and DAG, in them: leave this here.
"""

from kombo_shards.shards_dag import shards_dag

kombo = shards_dag("kombo")
