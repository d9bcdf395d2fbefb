"""Print the rows of a Parquet file as JSON."""

import json
import sys

from pyarrow import parquet

print(json.dumps(parquet.read_table(sys.argv[1]).to_pylist(), default=str))
