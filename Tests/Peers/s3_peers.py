#!/usr/bin/env python3
"""Our S3 requests against real servers: `s3-probe` signs them and reads the answers, this script only sends.

Peers, each started on loopback with its data in a temporary folder, and stopped:
  openstack  OpenStack Swift with s3api (strict: checks signatures, payload hashes, Content-MD5, the size of parts)
  moto       moto_server (checks no signatures: good for the semantics of uploads only)

Prints one JSON object a line: {"peer", "check", "ok", "saw"}. "ok" null: only observed, servers differ there. The exit code is
1 when a check failed, 2 when a peer could not be started.

Needs, in the Python that runs it:  pip install botocore 'moto[server]' swift   (openstack also needs user extended
attributes below --dir), and the probe:  swift build --product s3-probe
"""
import argparse, hashlib, http.client, json, os, shutil, signal, subprocess, sys, tempfile, time
from pathlib import Path
from urllib.parse import urlsplit

try:
    import botocore.session
    from botocore.config import Config
except ImportError:
    sys.exit("botocore is missing: python3 -m venv venv && venv/bin/pip install botocore 'moto[server]' swift")

import peers

BIN = Path(sys.executable).parent
MIB = 1 << 20
START_SECONDS_MAX = 120
BUCKET = "takes-2026"
KEYS = [
    "plain.wav", "a b+c=d&é(1)'!.wav", "a//b", "./dot", "a/../b", "..x", "a%20b", "100%", "~tilde", "semi;colon,comma",
    "at@:$*[]{}", "question?mark#hash", 'back\\slash"quote', "<xml>&amp;", "tab\tname", "Ünï/日本語/🎬.mkv", "trailing/", "?uploads",
    " leading and trailing ", "x" * 200,
]


class Missing(Exception):
    """A peer that cannot be had here; the text says why."""


def wait_for(port, processes):
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if dead := [p for p in processes if p.poll() is not None]:
            raise Missing(f"{dead[0].args[0]} ended with {dead[0].returncode}")
        if peers.listens(port):
            return
        time.sleep(0.1)
    raise Missing(f"nothing listens on port {port} after {START_SECONDS_MAX} s")


class Peer:
    """A server with its processes; subclasses say how it is started."""
    def __init__(self, folder):
        self.folder, self.processes = Path(folder), []

    def run(self, *command, **environment):
        if not Path(command[0]).exists():
            raise Missing(f"{command[0]} is not installed")
        log = open(self.folder / (Path(command[0]).name + ".log"), "ab")
        process = subprocess.Popen(
            [str(c) for c in command], stdout=log, stderr=log, start_new_session=True, env=os.environ | environment)
        self.processes.append(process)
        return process

    def kill_and_restart(self):
        """All processes die at once; the same commands are started again, on the same ports."""
        commands = [process.args for process in self.processes]
        self.stop()
        self.processes = []
        for command in commands:
            self.run(*command)
        for port in self.ports:
            wait_for(port, self.processes)

    def stop(self):
        # Servers fork: the whole group, which is of our making.
        for process in self.processes:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


class Moto(Peer):
    name, key, secret, is_strict = "moto", "AKID", "secret", False

    def start(self):
        port = peers.free_port()
        self.run(BIN / "moto_server", "-H", "127.0.0.1", "-p", port)
        self.ports = [port]
        wait_for(port, self.processes)
        self.endpoint = f"http://127.0.0.1:{port}"


class OpenStack(Peer):
    name, key, secret, is_strict = "openstack", "test:tester", "testing", True
    SERVERS = ("account", "container", "object")

    def start(self):
        data = self.folder / "data" / "d1"
        data.mkdir(parents=True)
        try:
            os.setxattr(data, "user.probe", b"1")
        except OSError as error:
            raise Missing(f"{data} takes no user extended attributes ({error}); choose another --dir")
        me = os.environ.get("USER") or subprocess.check_output(["id", "-un"], text=True).strip()
        (self.folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = a\nswift_hash_path_prefix = b\n")
        common = f"[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = %d\nuser = {me}\nswift_dir = {self.folder}\nworkers = 0\n"
        for server in self.SERVERS:
            port = peers.free_port()
            (self.folder / f"{server}.conf").write_text(
                common % port + f"devices = {data.parent}\nmount_check = false\nfallocate_reserve = 0\n"
                f"[pipeline:main]\npipeline = {server}-server\n[app:{server}-server]\nuse = egg:swift#{server}\n")
            self.make_ring(server, port)
            self.serve(server, port)
        port = peers.free_port()
        (self.folder / "proxy.conf").write_text(
            common % port + "[pipeline:main]\n"
            "pipeline = catch_errors healthcheck proxy-logging listing_formats bulk s3api tempauth container-quotas slo dlo proxy-logging "
            "proxy-server\n"
            "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
            + "".join(f"[filter:{f}]\nuse = egg:swift#{f.replace('-', '_')}\n"
                      for f in ("catch_errors", "healthcheck", "listing_formats", "bulk", "slo", "dlo", "proxy-logging", "container-quotas"))
            + "[filter:s3api]\nuse = egg:swift#s3api\n"
            f"[filter:tempauth]\nuse = egg:swift#tempauth\nuser_test_tester = {self.secret} .admin\n")
        self.serve("proxy", port)
        for port in self.ports:
            wait_for(port, self.processes)
        self.endpoint = f"http://127.0.0.1:{port}"

    def serve_skewed(self, **environment):
        """One more proxy server before the same data, in another environment. - Returns: its port."""
        port = peers.free_port()
        text = (self.folder / "proxy.conf").read_text().replace(f"bind_port = {self.ports[-1]}\n", f"bind_port = {port}\n")
        (self.folder / "skewed.conf").write_text(text)
        self.run(BIN / "swift-proxy-server", self.folder / "skewed.conf", **environment)
        wait_for(port, self.processes)
        return port

    def make_ring(self, server, port):
        """One device, one replica; by Swift's own library, since its command takes seconds for each step."""
        try:
            from swift.common.ring import RingBuilder
        except ImportError:
            raise Missing("swift is not installed")
        builder = RingBuilder(4, 1, 0)
        builder.add_dev({
            "region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "replication_ip": "127.0.0.1", "replication_port": port,
            "device": "d1", "weight": 100.0, "meta": ""})
        builder.rebalance()
        builder.get_ring().save(str(self.folder / f"{server}.ring.gz"))

    def serve(self, server, port):
        self.ports = getattr(self, "ports", []) + [port]
        self.run(BIN / f"swift-{server}-server", self.folder / f"{server}.conf")


class Client:
    """Our own client: requests and answers by the probe, the wire by http.client, which sends paths as they are."""
    def __init__(self, probe, peer, bucket=BUCKET, style="path"):
        self.environment = {
            "AWS_ACCESS_KEY_ID": peer.key, "AWS_SECRET_ACCESS_KEY": peer.secret, "AWS_ENDPOINT_URL": peer.endpoint,
            "AWS_REGION": "us-east-1",
        }
        self.probe = subprocess.Popen(
            [probe, bucket, style], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.environment)

    def ask(self, **line):
        self.probe.stdin.write(json.dumps(line) + "\n")
        self.probe.stdin.flush()
        answer = self.probe.stdout.readline()
        if not answer:
            raise RuntimeError(f"the probe ended at {str(line)[:200]}")
        return json.loads(answer)

    def call(self, operation, key=None, body=b"", tamper=False, **line):
        if key is not None:
            line["key_hex"] = (key if isinstance(key, bytes) else key.encode()).hex()
        signed = self.ask(sign=operation, body_hex=body.hex(), **line)
        sent = bytes.fromhex(signed["body_hex"])
        if tamper:
            sent = bytes([sent[0] ^ 1]) + sent[1:]
        url = urlsplit(signed["url"])
        target = signed["url"].split(url.netloc, 1)[1]
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
        connection.putrequest(signed["method"], target, skip_host=True, skip_accept_encoding=True)
        for name, value in signed["headers"]:
            connection.putheader(name, value)
        if signed["method"] in ("PUT", "POST"):
            connection.putheader("content-length", str(len(sent)))
        connection.endheaders(sent or None)
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        answer = {} if signed["method"] == "HEAD" else {"body_hex": response.read().hex()}
        self.status = response.status
        connection.close()
        return self.ask(read=operation, status=response.status, headers=headers, **{**line, **answer})

    def close(self):
        self.probe.stdin.close()
        self.probe.wait()


class Report:
    def __init__(self, peer):
        self.peer, self.passed, self.failures = peer, 0, 0

    def check(self, name, ok, saw=""):
        self.passed += ok is True
        self.failures += ok is False
        print(json.dumps({"peer": self.peer, "check": name, "ok": ok, "saw": saw}), flush=True)

    def meaning(self, name, answer, expected, status, observe=False):
        meaning = answer.get("meaning", "accepted")
        saw = f"{status} {answer.get('code', '')} → {meaning}"
        self.check(name, None if observe else meaning in expected, saw)


def objects(client, other, report):
    for key in KEYS:
        body = key.encode() * 3
        put = client.call("putObject", key, body)
        if "meaning" in put:
            report.check(f"put {key[:30]!r}", False, f"{client.status} {put['words']}")
            continue
        head, got = client.call("headObject", key), client.call("getObject", key, range=[1, len(body)])
        theirs = other.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        report.check(
            f"put, head, get range {key[:30]!r}",
            head.get("size") == len(body) and head.get("etag") == hashlib.md5(body).hexdigest()
            and bytes.fromhex(got.get("body_hex", "")) == body[1:] and theirs == body, head.get("words") or got.get("words", ""))
    put = client.call("putObject", b"latin1-\xe9.wav", b"x")
    report.meaning("put of a key that is not UTF-8", put, (), client.status, observe=True)
    client.call("putObject", "meta", b"x", attributes={"Take No": "7", "ort": "Köln am Rhein"})
    metadata = other.head_object(Bucket=BUCKET, Key="meta")["Metadata"]
    report.check("attributes arrive", metadata.get("take-no") == "7" and "ort" in metadata, str(metadata))


def upload(client, other, report):
    key, first, second, third = "take/1 (é).wav", os.urandom(5 * MIB), os.urandom(5 * MIB), os.urandom(1234)
    header = b"RIFF" + first[4:]
    id = client.call("createUpload", key).get("upload")
    report.check("create", bool(id), f"{client.status}")
    etags = {}
    for number, part in ((3, third), (1, first), (2, second), (1, header)):
        etags[number] = client.call("uploadPart", key, part, upload=id, number=number).get("etag")
    report.check("parts out of order, part 1 twice: each ETag is the MD5",
                 etags == {n: hashlib.md5(p).hexdigest() for n, p in ((1, header), (2, second), (3, third))})
    listed = client.call("listParts", key, upload=id)
    report.check("listParts", listed.get("parts") == [[1, etags[1], 5 * MIB], [2, etags[2], 5 * MIB], [3, etags[3], 1234]],
                 str(listed)[:200])
    after = client.call("listParts", key, upload=id, number=2)
    report.check("listParts after a marker", [p[0] for p in after.get("parts", [])] == [3], str(after)[:200])
    open_uploads = client.call("listUploads", "take/")
    report.check("listUploads below a prefix", [key.encode().hex(), id] in open_uploads.get("uploads", []), str(open_uploads)[:200])
    wrong = client.call("completeUpload", key, upload=id, parts=[["1", "0" * 32], ["2", etags[2]], ["3", etags[3]]])
    report.meaning("complete with a wrong ETag", wrong, ("partsDisagree",), client.status)
    parts = [[str(n), e] for n, e in sorted(etags.items())]
    whole = header + second + third
    done = client.call("completeUpload", key, upload=id, parts=parts, size=len(whole))
    expected = hashlib.md5(b"".join(bytes.fromhex(e) for _, e in parts)).hexdigest() + "-3"
    report.check("complete", done.get("etag") == expected, str(done)[:200])
    head = client.call("headObject", key)
    report.check("the object's ETag is that of its parts", head.get("etag") == expected and head.get("size") == len(whole), str(head)[:200])
    report.check("bytes read by another client", other.get_object(Bucket=BUCKET, Key=key)["Body"].read() == whole)
    report.meaning("complete twice", client.call("completeUpload", key, upload=id, parts=parts), (), client.status, observe=True)
    copy(client, other, report, key, whole)


def copy(client, other, report, source, whole):
    """A recording whose first part changed after it was complete: the rest is copied, not sent again."""
    target, changed = "take/patched.wav", os.urandom(5 * MIB)
    id = client.call("createUpload", target).get("upload")
    one = client.call("uploadPart", target, changed, upload=id, number=1)
    two = client.call("copyPart", target, upload=id, number=2, source_hex=source.encode().hex(), range=[5 * MIB, len(whole)])
    if "meaning" in two:
        return report.meaning("copy of a part", two, (), client.status)
    client.call("completeUpload", target, upload=id, parts=[["1", one["etag"]], ["2", two["etag"]]])
    read = other.get_object(Bucket=BUCKET, Key=target)["Body"].read()
    report.check("copy of a part", read == changed + whole[5 * MIB:])


def refusals(client, report, probe, peer):
    strict = dict(observe=not peer.is_strict)
    report.meaning("wrong secret", client.call("headObject", "plain.wav", secret="wrong"), ("credentialsRefused",), client.status, **strict)
    report.meaning("wrong secret, with a document", client.call("putObject", "no", b"x", secret="wrong"), ("credentialsRefused",), client.status, **strict)
    report.meaning("a clock that is an hour ahead", client.call("putObject", "no", b"x", skew=3600), ("clockSkewed",), client.status, **strict)
    report.meaning("a body changed on its way", client.call("putObject", "no", b"abc", tamper=True), ("damaged",), client.status, **strict)
    report.meaning("an object that is not there", client.call("headObject", "not there"), ("objectMissing",), client.status)
    report.meaning("the same, read", client.call("getObject", "not there", range=[0, 1]), ("objectMissing",), client.status)
    stranger = Client(probe, peer, bucket="not-there-2026")
    report.meaning("a bucket that is not there", stranger.call("headBucket"), ("misconfigured",), stranger.status)
    report.meaning("the same, written", stranger.call("putObject", "x", b"x"), ("misconfigured",), stranger.status)
    stranger.close()
    report.check("headBucket", "meaning" not in client.call("headBucket"), f"{client.status}")


def broken_uploads(client, report, peer):
    id = client.call("createUpload", "small").get("upload")
    etags = [client.call("uploadPart", "small", b"x" * MIB, upload=id, number=n).get("etag") for n in (1, 2)]
    small = client.call("completeUpload", "small", upload=id, parts=[["1", etags[0]], ["2", etags[1]]])
    report.meaning("a part of 1 MiB that is not the last", small, ("partsDisagree",), client.status)
    aborted = client.call("abortUpload", "small", upload=id)
    report.check("abort", "meaning" not in aborted, f"{client.status} {aborted}")
    again = client.call("abortUpload", "small", upload=id)
    report.check("abort again", "meaning" not in again, f"{client.status} {again}")
    report.meaning("listParts after abort", client.call("listParts", "small", upload=id), ("uploadGone",), client.status)
    late = client.call("uploadPart", "small", b"x", upload=id, number=3)
    # moto answers 500 to both.
    strict = dict(observe=not peer.is_strict)
    report.meaning("a part after abort", late, ("uploadGone",), client.status, **strict)
    gone = client.call("completeUpload", "small", upload=id, parts=[["1", etags[0]]])
    report.meaning("complete after abort", gone, ("perhapsCompleted",), client.status, **strict)


def exercise(peer, probe):
    report = Report(peer.name)
    other = botocore.session.Session().create_client(
        "s3", region_name="us-east-1", endpoint_url=peer.endpoint, aws_access_key_id=peer.key,
        aws_secret_access_key=peer.secret, config=Config(
            s3={"addressing_style": "path"}, request_checksum_calculation="when_required",
            response_checksum_validation="when_required"))
    other.create_bucket(Bucket=BUCKET)
    client = Client(probe, peer)
    try:
        objects(client, other, report)
        upload(client, other, report)
        refusals(client, report, probe, peer)
        broken_uploads(client, report, peer)
    finally:
        client.close()
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--probe", default=os.environ.get("S3_PROBE", ".build/debug/s3-probe"), help="the s3-probe (%(default)s)")
    parser.add_argument("--peers", default="openstack,moto", help="which of them (%(default)s)")
    parser.add_argument("--dir", help="where peers keep their data (a temporary folder)")
    parser.add_argument("--keep", action="store_true", help="keep that folder, with the servers' logs")
    options = parser.parse_args()
    passed, failures, missing = 0, 0, 0
    # An end from outside stops the servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    for kind in (OpenStack, Moto):
        if kind.name not in options.peers.split(","):
            continue
        folder = tempfile.mkdtemp(prefix=f"s3-{kind.name}-", dir=options.dir)
        peer = kind(folder)
        try:
            peer.start()
            report = exercise(peer, os.path.abspath(options.probe))
            passed, failures = passed + report.passed, failures + report.failures
        except Missing as reason:
            missing += 1
            print(json.dumps({"peer": kind.name, "check": "start", "ok": False, "saw": str(reason)}), flush=True)
        finally:
            peer.stop()
            if options.keep:
                print(f"{kind.name}: {folder}", file=sys.stderr)
            else:
                shutil.rmtree(folder)
    print(f"{passed} passed, {failures + missing} failed")
    sys.exit(1 if failures else 2 if missing else 0)


if __name__ == "__main__":
    main()
