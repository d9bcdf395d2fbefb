"""Print the rows of each Parquet file as JSON."""

import json
import sys

from pyarrow import parquet

tables = [parquet.read_table(path).to_pylist() for path in sys.argv[1:]]
print(json.dumps(tables, default=str))
