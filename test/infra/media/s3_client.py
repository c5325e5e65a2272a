"""Uses the server of the tests with Amazon's client. Prints what it has found as JSON."""
import json
import sys
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, region, bucket, key_id, secret = sys.argv[1:]


def connect(key_id=key_id, secret=secret, region=region):
    settings = {"signature_version": "s3v4", "s3": {"addressing_style": "path"}, "retries": {"max_attempts": 0}}
    try:
        # Newer versions add checksums to bodies, which change their encoding.
        config = Config(
            **settings, request_checksum_calculation="when_required", response_checksum_validation="when_required"
        )
    except TypeError:
        config = Config(**settings)
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=config,
    )


def code_of(call):
    try:
        call()
        return "accepted"
    except ClientError as error:
        return error.response["Error"]["Code"]


def status_of(url, method="GET", body=None, headers={}):
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        return error.code


s3 = connect()
found = {}
name = "a folder/ä+b&c.bin"
s3.put_object(Bucket=bucket, Key=name, Body=b"0123456789")
found["content"] = s3.get_object(Bucket=bucket, Key=name)["Body"].read().decode()
found["range"] = s3.get_object(Bucket=bucket, Key=name, Range="bytes=2-4")["Body"].read().decode()
found["size"] = s3.head_object(Bucket=bucket, Key=name)["ContentLength"]
found["absent"] = code_of(lambda: s3.get_object(Bucket=bucket, Key="absent"))
found["beyond"] = code_of(lambda: s3.get_object(Bucket=bucket, Key=name, Range="bytes=10-"))

for number in range(5):
    s3.put_object(Bucket=bucket, Key=f"list/{number}/x", Body=b"x")
pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="list/")
found["keys"] = [each["Key"] for page in pages for each in page.get("Contents", [])]
pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="list/", Delimiter="/")
found["folders"] = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])]

part = b"p" * (5 * 1024 * 1024)
upload = s3.create_multipart_upload(Bucket=bucket, Key="big")["UploadId"]
other = s3.create_multipart_upload(Bucket=bucket, Key="big")["UploadId"]
tags = [
    s3.upload_part(Bucket=bucket, Key="big", UploadId=upload, PartNumber=number, Body=body)["ETag"]
    for number, body in ((1, part), (2, part), (3, b"end"))
]
pages = s3.get_paginator("list_parts").paginate(Bucket=bucket, Key="big", UploadId=upload)
found["parts"] = [[each["PartNumber"], each["Size"], each["ETag"] in tags] for page in pages for each in page["Parts"]]
pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix="big")
found["uploads"] = sorted(each["UploadId"] for page in pages for each in page.get("Uploads", [])) == sorted([upload, other])


def complete(numbers, tags=tags):
    parts = [{"PartNumber": number, "ETag": tags[number - 1]} for number in numbers]
    return code_of(
        lambda: s3.complete_multipart_upload(
            Bucket=bucket, Key="big", UploadId=upload, MultipartUpload={"Parts": parts}
        )
    )


found["small"] = complete([3, 4], tags + [s3.upload_part(Bucket=bucket, Key="big", UploadId=upload, PartNumber=4, Body=b"4")["ETag"]])
found["order"] = complete([2, 1])
found["wrong"] = complete([1, 2], [tags[0], tags[2]])
found["complete"] = complete([1, 2, 3])
found["again"] = complete([1, 2, 3])
found["big"] = s3.head_object(Bucket=bucket, Key="big")["ContentLength"]
s3.abort_multipart_upload(Bucket=bucket, Key="big", UploadId=other)
found["aborted"] = code_of(lambda: s3.list_parts(Bucket=bucket, Key="big", UploadId=other))

parameters = {"Bucket": bucket, "Key": name}
get = s3.generate_presigned_url("get_object", {**parameters, "ResponseContentType": "image/png"}, ExpiresIn=60)
found["presigned"] = status_of(get)
found["forged"] = status_of(get.replace("image%2Fpng", "text%2Fhtml"))
put = s3.generate_presigned_url("put_object", {**parameters, "ContentLength": 4}, ExpiresIn=60)
found["put"] = status_of(put, "PUT", b"1234", {"Content-Type": ""})
s3.delete_object(Bucket=bucket, Key=name)
found["deleted"] = code_of(lambda: s3.get_object(Bucket=bucket, Key=name))

find = {"Bucket": bucket, "Key": "big"}
found["key"] = code_of(lambda: connect(key_id="AKIDOTHER").get_object(**find))
found["secret"] = code_of(lambda: connect(secret="other").get_object(**find))
found["region"] = code_of(lambda: connect(region="us-east-1").list_objects_v2(Bucket=bucket))
found["bucket"] = code_of(lambda: s3.get_object(Bucket="another-bucket", Key="big"))
print(json.dumps(found))
