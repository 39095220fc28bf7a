#!/usr/bin/env python3
"""Prints requests signed by botocore, one JSON object a line, for `Tests/S3ProtocolTests/SigningTests` to compare with.

Two kinds of lines:
  signer   random method, bytes of a key, query, headers, body, region, place and time, signed by botocore's S3SigV4Auth.
           Keys are bytes: not all of them are UTF-8. Our signer must give the same URL and the same Authorization.
  client   the same through a whole botocore client and one of the operations that reelfs uses: also path, query and the
           headers of the operation must agree.
Fields ending in _hex are bytes in hexadecimal. The same seed prints the same lines.

The unit tests carry a compact set, as a Swift file:
  s3_signing_oracle.py --signer 60 --client 44 --seed 1 --swift > Tests/S3ProtocolTests/SigningVectors.swift
The large comparison:
  s3_signing_oracle.py --signer 20000 --client 2000 --seed 2 > vectors.jsonl
  REELFS_S3_VECTORS=vectors.jsonl swift test --disable-xctest --filter SigningTests

Needs botocore (`pip install botocore`), no network: nothing is sent.
"""
import argparse, base64, datetime, hashlib, json, random, sys
from urllib.parse import quote, unquote_to_bytes, urlsplit

try:
    import botocore.auth, botocore.session
    from botocore.awsrequest import AWSRequest, AWSResponse
    from botocore.config import Config
    from botocore.credentials import Credentials
except ImportError:
    sys.exit("botocore is missing: python3 -m venv venv && venv/bin/pip install botocore, then run this with venv/bin/python")

NASTY_KEYS = [
    "a b+c=d&é(1)'!.wav", "plain", "a//b", "//leading", "./dot", "a/../b", "a/./b", "..", ".hidden", "trailing/", "a%20b",
    "100%", "%", "a+b", "tilde~", "semi;colon", "comma,", "at@colon:", "dollar$", "star*", "[brackets]", "{braces}",
    "question?mark", "hash#", "back\\slash", 'quote"', "pipe|", "caret^", "grave`", "<xml>&amp;", "tab\tname", "new\nline",
    "Ünï/cödé/日本語.mkv", "🎬.mp4", "e\u0301 decomposed", " leading space", "trailing space ", "a  b", "=", "?uploads",
]
NASTY_BYTES = [b"latin1-\xe9.wav", b"\xff\xfe", b"cut-\xc3", b"\x01\x7f\x80"]
PLACES = [  # origin without a bucket, style
    ("https://s3.{region}.amazonaws.com", "virtual"), ("https://s3.{region}.amazonaws.com", "path"),
    ("http://127.0.0.1:9000", "path"), ("https://minio.example.org", "path"), ("https://minio.example.org:8443", "virtual"),
    ("http://[::1]:9000", "path"),
]
REGIONS = ["us-east-1", "eu-central-1", "auto", "garage"]


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self, alphabet, low, high):
        return "".join(self.random.choice(alphabet) for _ in range(self.random.randint(low, high)))

    def key(self, utf8_only=False):
        choice = self.random.random()
        if choice < 0.4:
            return self.random.choice(NASTY_KEYS).encode()
        if choice < 0.8 or utf8_only:
            letters = "abcXYZ019-._~/ +=&?#%!*'();:@$,[]\\\"<>^`{|}é日🎬\t"
            return (self.text(letters, 1, 40) or "k").encode()
        if choice < 0.85:
            return self.random.choice(NASTY_BYTES)
        return bytes(self.random.randrange(1, 256) for _ in range(self.random.randint(1, 30)))

    def query(self):
        names = ["uploads", "uploadId", "partNumber", "prefix", "max-parts", "a", "A", "a-b", "a b", "é", "x=y", "x&y", "~"]
        chosen = self.random.sample(names, self.random.randint(0, 4))
        return {name: self.random.choice(["", self.text("abc/ +=&%é~*'()!", 0, 12)]) for name in chosen}

    def headers(self):
        pool = {
            "content-type": "audio/x-wav", "content-md5": base64.b64encode(hashlib.md5(b"x").digest()).decode(),
            "x-amz-meta-take": self.text("abc  ,:=", 1, 12).strip() or "t", "x-amz-meta-empty": "",
            "x-amz-meta-spaces": "a   b  c", "range": "bytes=0-1048575", "x-amz-copy-source": "/bucket/a%20b%2Bc",
            "x-amz-checksum-crc64nvme": "rosUhgp5mIg=", "if-match": '"abc"',
        }
        return {name: pool[name] for name in self.random.sample(sorted(pool), self.random.randint(0, 4))}

    def credentials(self):
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/+"
        token = self.text(letters + "=", 20, 120) if self.random.random() < 0.4 else None
        return Credentials("KEY" + self.text(letters[:26], 13, 13), self.text(letters, 40, 40), token)

    def time(self):
        return datetime.datetime.fromtimestamp(
            self.random.randint(946_684_800, 4_102_444_799), datetime.timezone.utc)

    def place(self):
        region = self.random.choice(REGIONS)
        origin, style = self.random.choice(PLACES)
        return region, origin.format(region=region), style


def at(moment):
    """botocore asks the clock at one place."""
    botocore.auth.get_current_datetime = lambda remove_tzinfo=True: (
        moment.replace(tzinfo=None) if remove_tzinfo else moment)


def common(credentials, region, endpoint, style, bucket, moment):
    return {
        "access_key": credentials.access_key, "secret_key": credentials.secret_key, "token": credentials.token,
        "region": region, "endpoint": endpoint, "style": style, "bucket": bucket, "time": int(moment.timestamp()),
    }


def authority(endpoint, style, bucket):
    scheme, rest = endpoint.split("://")
    return f"{scheme}://{bucket}.{rest}" if style == "virtual" else f"{scheme}://{rest}/{bucket}"


def signer_line(make):
    credentials, (region, endpoint, style), moment = make.credentials(), make.place(), make.time()
    bucket, method = make.random.choice(["bucket", "my-recordings-2026"]), make.random.choice(["GET", "PUT", "POST", "HEAD", "DELETE"])
    key, query, headers = make.key(), make.query(), make.headers()
    body = bytes(make.random.randrange(256) for _ in range(make.random.choice([0, 0, 1, 70])))
    # Percent-encoded as botocore's serializer does it for a key (botocore.serialize: safe="/~").
    url = authority(endpoint, style, bucket) + "/" + quote(key, safe="/~")
    request = AWSRequest(method=method, url=url, params=query, headers=headers, data=body)
    request.context["client_config"] = Config(s3={"payload_signing_enabled": True})
    at(moment)
    auth = botocore.auth.S3SigV4Auth(credentials, "s3", region)
    auth.add_auth(request)
    canonical = auth.canonical_query_string(request)
    return {
        "kind": "signer", **common(credentials, region, endpoint, style, bucket, moment), "method": method, "key_hex": key.hex(),
        "query": [[name, value.encode().hex()] for name, value in query.items()], "headers": list(headers.items()),
        "body_hex": body.hex(), "url": url + ("?" + canonical if canonical else ""),
        "authorization": request.headers["Authorization"],
    }


def operations(make, bucket):
    key, upload, number = make.key(utf8_only=True).decode(), make.text("abcXYZ019._-~+/=", 8, 60), make.random.randint(1, 10_000)
    body = bytes(make.random.randrange(256) for _ in range(make.random.choice([0, 1, 90])))
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    start = make.random.randint(0, 1 << 40)
    end = start + make.random.randint(0, 1 << 30)
    one, part = {"Bucket": bucket, "Key": key}, {"Bucket": bucket, "Key": key, "UploadId": upload, "PartNumber": number}
    facts = {"key_hex": key.encode().hex(), "upload": upload, "number": number, "body_hex": body.hex(), "start": start, "end": end + 1}
    source = make.key(utf8_only=True).decode()
    return facts | {"source_hex": source.encode().hex()}, {
        "headBucket": ("head_bucket", {"Bucket": bucket}),
        "headObject": ("head_object", one),
        "getObject": ("get_object", one | {"Range": f"bytes={start}-{end}"}),
        "putObject": ("put_object", one | {"Body": body, "ContentMD5": md5, "ContentType": "application/octet-stream"}),
        "createUpload": ("create_multipart_upload", one | {"ContentType": "application/octet-stream"}),
        "uploadPart": ("upload_part", part | {"Body": body, "ContentMD5": md5}),
        "copyPart": ("upload_part_copy", part | {
            "CopySource": {"Bucket": bucket, "Key": source}, "CopySourceRange": f"bytes={start}-{end}"}),
        "completeUpload": ("complete_multipart_upload", one | {
            "UploadId": upload, "MpuObjectSize": end + 1,
            "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": '"' + "0" * 32 + '"'}, {"PartNumber": number + 1, "ETag": '"' + "f" * 32 + '"'}]}}),
        "abortUpload": ("abort_multipart_upload", one | {"UploadId": upload}),
        "listParts": ("list_parts", one | {"UploadId": upload, "MaxParts": 1000, "PartNumberMarker": number}),
        "listUploads": ("list_multipart_uploads", {
            "Bucket": bucket, "Prefix": key, "MaxUploads": 1000, "EncodingType": "url", "KeyMarker": key, "UploadIdMarker": upload}),
    }


def client_line(make, index, session=botocore.session.Session()):
    credentials, (region, endpoint, style), moment = make.credentials(), make.place(), make.time()
    bucket = "my-recordings-2026"
    facts, all_operations = operations(make, bucket)
    name = sorted(all_operations)[index % len(all_operations)]
    method, arguments = all_operations[name]
    client = session.create_client(
        "s3", region_name=region, endpoint_url=endpoint, aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key, aws_session_token=credentials.token,
        config=Config(
            signature_version="s3v4", s3={"addressing_style": style, "payload_signing_enabled": True},
            request_checksum_calculation="when_required", response_checksum_validation="when_required",
            retries={"total_max_attempts": 1}))
    sent = []

    def capture(request, **_):
        sent.append(request)
        return AWSResponse(request.url, 500, {}, type("Raw", (), {"stream": lambda self, *a, **k: iter(())})())

    client.meta.events.register("before-send.s3", capture)
    at(moment)
    try:
        getattr(client, method)(**arguments)
    except Exception as error:  # the made-up 500, or an answer without a body: only what was sent counts
        if not sent:
            raise SystemExit(f"{name}: botocore sends nothing: {error}")
    request = sent[0]
    headers = {n.lower(): (v.decode() if isinstance(v, bytes) else str(v)) for n, v in request.headers.items()}
    signed = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    ours = {"host", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"}
    body = request.body if isinstance(request.body, bytes) else (request.body.read() if request.body else b"")
    if hasattr(request.body, "seek"):
        request.body.seek(0)
        body = request.body.read()
    pairs = [p.partition("=") for p in urlsplit(request.url).query.split("&") if p]
    return {
        "kind": "client", **common(credentials, region, endpoint, style, bucket, moment), "operation": name, "facts": facts,
        "method": request.method, "sent_body_hex": body.hex(), "url": request.url,
        "query": [[unquote_to_bytes(n.replace("+", " ")).decode(), unquote_to_bytes(v.replace("+", " ")).hex()] for n, _, v in pairs],
        "headers": [[n, headers[n]] for n in signed if n not in ours], "authorization": headers["authorization"],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signer", type=int, default=1000, help="lines of the kind signer (1000)")
    parser.add_argument("--client", type=int, default=110, help="lines of the kind client (110)")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers (1)")
    parser.add_argument("--swift", action="store_true", help="a Swift file with the lines in place of the lines")
    options = parser.parse_args()
    make = Maker(options.seed)
    lines = [signer_line(make) for _ in range(options.signer)] + [client_line(make, i) for i in range(options.client)]
    text = "\n".join(json.dumps(line, separators=(",", ":"), sort_keys=True) for line in lines)
    if options.swift:
        print(f"/// Written by Tests/Peers/s3_signing_oracle.py --signer {options.signer} --client {options.client} "
              f"--seed {options.seed} --swift,\n/// from botocore {botocore.__version__}. Do not edit.\n"
              f'let signingVectors = ##"""\n{text}\n"""##')
    else:
        print(text)


if __name__ == "__main__":
    main()
