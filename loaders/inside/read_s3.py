"""Write the objects of a bucket into a folder, or create the bucket if there is no folder.

Its arguments are the URL of the server, the name of the bucket and the folder.
"""

import sys
from pathlib import Path

import boto3

url, bucket, *folders = sys.argv[1:]
client = boto3.client(
    "s3",
    endpoint_url=url,
    region_name="us-east-1",
    aws_access_key_id="sandbox",
    aws_secret_access_key="sandbox",  # noqa: S106  # the local server checks none
)
if not folders:
    client.create_bucket(Bucket=bucket)
for folder in folders:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", ()):
            path = Path(folder, item["Key"])
            path.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(bucket, item["Key"], str(path))
