#!/usr/bin/env python3
"""Other people's programs in the mount, while it uploads: each must be content with what it finds, and at last the receiver
must have every file as it is here. One line a program, then `N passed, N failed`.

Environment:
  REELFS           the program                                       (.build/release/reelfs)
  ONLY             only those whose name has this in it
  SHORT            1: less of everything
  CONFORMANCE_DIR  where everything lies                             (.build/conformance)
"""
import contextlib, hashlib, os, pathlib, random, shutil, sqlite3, stat, subprocess, sys, threading, time
from served import Failure, is_served

SHORT = bool(os.environ.get("SHORT"))
MINUTES_MAX = 5
PROGRAMS = []


def program(sentence):
    def add(body):
        PROGRAMS.append((body, sentence))
        return body
    return add


class Desk:
    """A folder in the mount (`here`) and one beside it (`beside`), for one program."""

    def __init__(self, here, beside, served):
        self.here, self.beside, self.served = str(here), str(beside), served

    def run(self, *words, cwd=None, **named):
        """- Raises: Failure unless it succeeds."""
        done = subprocess.run([str(word) for word in words], cwd=cwd or self.here, capture_output=True, text=True,
                              timeout=MINUTES_MAX * 60, errors="replace", **named)
        if done.returncode != 0:
            raise Failure(f"{' '.join(map(str, words))}: exit code {done.returncode}: {(done.stdout + done.stderr)[-1500:]}")
        return done.stdout


# -- fio
def fio(desk, name, *words, size="32m"):
    desk.run("fio", f"--name={name}", f"--directory={desk.here}", f"--size={'8m' if SHORT else size}", "--verify=crc32c",
             "--verify_fatal=1", "--do_verify=1", "--verify_state_save=0", "--output-format=terse", *words)


@program("fio reads back what it wrote in order")
def fio_sequential(desk):
    fio(desk, "sequential", "--rw=write", "--bs=1m")
    fio(desk, "small", "--rw=write", "--bs=4k", size="16m")


@program("fio reads back what it wrote at random places in pieces of odd sizes")
def fio_random(desk):
    fio(desk, "unaligned", "--rw=randwrite", "--bsrange=512-40000", "--bs_unaligned=1", size="16m")
    fio(desk, "aligned", "--rw=randwrite", "--bs=4k", size="16m")


@program("fio reads back what several jobs wrote at once, with and without O_DIRECT, and through memory maps")
def fio_jobs(desk):
    fio(desk, "jobs", "--rw=randwrite", "--bs=16k", "--numjobs=4", size="16m")
    fio(desk, "direct", "--rw=randwrite", "--bs=4k", "--ioengine=libaio", "--direct=1", "--iodepth=8", size="16m")
    fio(desk, "maps", "--rw=randwrite", "--bs=4k", "--ioengine=mmap", size="16m")


@program("fio reads back what it appended")
def fio_append(desk):
    for _ in range(2):
        fio(desk, "append", "--rw=write", "--bs=7k", "--file_append=1", "--filename=append")


# -- stress-ng
STRESSORS = """access chdir chmod chown close copy-file dentry dir dirdeep dirmany dup fallocate fcntl fiemap file-ioctl
    filename flock fpunch fstat getdent hdd iomix link locka lockf lockofd metamix mmap-file msync open pread rename revio
    seek sendfile splice sync-file symlink touch unlink utime xattr""".split()
# Options by which a stressor works on files, or as programs do.
STRESSOR_OPTIONS = {"mmap-file": ["--mmap", "1", "--mmap-file", "--mmap-bytes", "4m"],
                    "hdd": ["--hdd", "1", "--hdd-bytes", "16m"], "iomix": ["--iomix", "1", "--iomix-bytes", "8m"],
                    "seek": ["--seek", "1", "--seek-size", "8m"], "fallocate": ["--fallocate", "1", "--fallocate-bytes", "8m"],
                    "copy-file": ["--copy-file", "1", "--copy-file-bytes", "128m"], "msync": ["--msync", "1", "--msync-bytes", "4m"],
                    "sync-file": ["--sync-file", "1", "--sync-file-bytes", "8m"], "revio": ["--revio", "1", "--revio-bytes", "8m"],
                    "sendfile": ["--sendfile", "1", "--sendfile-size", "4m"]}


@program("stress-ng's file stressors verify what they did")
def stress_ng(desk):
    known = desk.run("stress-ng", "--stressors").split()
    chosen = [name for name in STRESSORS if name in known or name in STRESSOR_OPTIONS]
    assert len(chosen) > 30, "stress-ng knows few of these"
    wrong = []
    for name in chosen[::4] if SHORT else chosen:
        options = STRESSOR_OPTIONS.get(name, [f"--{name}", "1"])
        try:
            desk.run("stress-ng", *options, "--verify", "--timeout", "1s" if SHORT else "3s", "--temp-path", desk.here)
        except Failure as failure:
            wrong.append(f"{name}: {failure}")
    if wrong:
        raise Failure("; ".join(wrong))


@program("dbench's clients do what a file server's do")
def dbench(desk):
    desk.run("dbench", "-D", desk.here, "-t", "3" if SHORT else "20", "4")


# -- git
def git(desk, *words, cwd=None):
    return desk.run("git", "-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "protocol.file.allow=always",
                    "-c", "core.fsync=all", *words, cwd=cwd)


@program("git clones, commits, repacks, checks out and finds its repository whole")
def git_repository(desk):
    source, r = os.path.join(desk.beside, "source"), random.Random(1)
    os.mkdir(source)
    git(desk, "init", "-q", "-b", "main", cwd=source)
    for commit in range(4 if SHORT else 12):
        for number in range(25):
            path = pathlib.Path(source, f"folder{number % 5}", f"file{number}")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(r.randbytes(r.randrange(1, 40_000)))
        git(desk, "add", "-A", cwd=source)
        git(desk, "commit", "-q", "-m", f"commit {commit}", cwd=source)
    git(desk, "clone", "-q", "--no-hardlinks", source, "clone")
    clone = os.path.join(desk.here, "clone")
    git(desk, "fsck", "--full", "--strict", cwd=clone)
    git(desk, "checkout", "-q", "-b", "work", "HEAD~2", cwd=clone)
    pathlib.Path(clone, "new").write_text("new\n" * 1000)
    git(desk, "add", "new", cwd=clone)
    git(desk, "commit", "-q", "-m", "more", cwd=clone)
    git(desk, "merge", "-q", "--no-edit", "main", cwd=clone)
    git(desk, "worktree", "add", "-q", os.path.join(desk.here, "tree"), "main", cwd=clone)
    git(desk, "gc", "-q", "--aggressive", "--prune=now", cwd=clone)
    git(desk, "fsck", "--full", "--strict", cwd=clone)
    if changed := git(desk, "status", "--porcelain", cwd=clone):
        raise Failure(f"git status: {changed}")
    git(desk, "clone", "-q", "--bare", clone, os.path.join(desk.beside, "back.git"))
    git(desk, "fsck", "--full", "--strict", cwd=os.path.join(desk.beside, "back.git"))


# -- databases
def insert(base, writer, number):
    content = os.urandom(random.randrange(1, 20_000))
    base.execute("BEGIN IMMEDIATE")
    base.execute("INSERT INTO row VALUES (?, ?, ?, ?)", (writer, number, content, hashlib.sha256(content).digest()))
    if number % 3 == 2:
        base.execute("UPDATE row SET content = ?, digest = ? WHERE writer = ? AND number = ?",
                     (b"again", hashlib.sha256(b"again").digest(), writer, number - 1))
    base.execute("COMMIT" if number % 10 else "ROLLBACK")


def database(desk, mode):
    path, count, failures = os.path.join(desk.here, f"{mode}.db"), 40 if SHORT else 200, []
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.execute(f"PRAGMA journal_mode={mode}")
        base.execute("CREATE TABLE row (writer, number, content BLOB, digest BLOB, PRIMARY KEY (writer, number))")

    def write(writer):
        try:
            with contextlib.closing(sqlite3.connect(path, timeout=120, isolation_level=None)) as base:
                for number in range(count):
                    insert(base, writer, number)
        except sqlite3.Error as error:
            failures.append(f"writer {writer}: {error}")
    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    desk.served.kill_worker()
    for writer in writers:
        writer.join()
    with contextlib.closing(sqlite3.connect(path)) as base:
        faults = base.execute("PRAGMA integrity_check").fetchall()
        rows = base.execute("SELECT content, digest FROM row").fetchall()
        base.execute("VACUUM")
    if failures or faults != [("ok",)]:
        raise Failure(f"{failures}, {faults[:3]}")
    if len(rows) != 3 * (count - count // 10) or any(hashlib.sha256(a).digest() != b for a, b in rows):
        raise Failure(f"{len(rows)} rows, or other content than was written")


@program("three writers of a SQLite database in WAL mode lose nothing, also when the worker is killed")
def sqlite_wal(desk):
    database(desk, "WAL")


@program("three writers of a SQLite database with a rollback journal lose nothing, also when the worker is killed")
def sqlite_rollback(desk):
    for mode in ("DELETE", "TRUNCATE", "PERSIST"):
        database(desk, mode)


# -- building
@program("make -j builds a C project, builds it again after a change, and builds nothing without one")
def make(desk):
    count = 12 if SHORT else 40
    for number in range(count):
        pathlib.Path(desk.here, f"part{number}.c").write_text(
            f'#include "parts.h"\nint part{number}(int x) {{ return x + {number}; }}\n')
    pathlib.Path(desk.here, "parts.h").write_text("".join(f"int part{n}(int x);\n" for n in range(count)))
    pathlib.Path(desk.here, "main.c").write_text(
        '#include <stdio.h>\n#include "parts.h"\nint main(void) { int x = 0;'
        + "".join(f" x = part{n}(x);" for n in range(count)) + ' printf("%d\\n", x); return 0; }\n')
    pathlib.Path(desk.here, "Makefile").write_text(
        "parts := $(patsubst %.c,%.o,$(wildcard *.c))\nprogram: libparts.a main.o\n\tcc -o $@ main.o libparts.a\n"
        "libparts.a: $(filter-out main.o,$(parts))\n\trm -f $@; ar rcs $@ $^\n%.o: %.c parts.h\n\tcc -g -c -o $@ $<\n")
    desk.run("make", "-j4")
    expected = str(count * (count - 1) // 2)
    if (said := desk.run("./program").strip()) != expected:
        raise Failure(f"the program says {said}, not {expected}")
    if desk.run("make", "-q") or "up to date" not in desk.run("make"):
        raise Failure("make builds again what it has built")
    desk.run("touch", "part3.c")
    if (lines := desk.run("make", "-j4").count("cc -g -c")) != 1:
        raise Failure(f"after a change of one file {lines} are compiled")


# -- trees
def make_tree(root):
    """Files of many kinds; owners and devices if root makes it."""
    r = random.Random(7)
    for number in range(20 if SHORT else 60):
        folder = pathlib.Path(root, f"d{number % 7}", f"e{number % 3}")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"file {number}"
        path.write_bytes(r.randbytes(r.choice((0, 1, 5_000, 100_000, 1_200_000))))
        mode = r.choice((0o600, 0o644, 0o755, 0o4711, 0o2755, 0o400))
        if number % 3 == 0:
            os.setxattr(path, "user.note", b"note %d" % number)
            # tar gives no attribute to what its owner may not write, on a disk either, unless it is root.
            mode |= 0o200 if os.geteuid() else 0
        os.chmod(path, mode)
        if number % 4 == 0:
            os.link(path, folder / f"link {number}")
        if os.geteuid() == 0:
            os.chown(path, 1000 + number, 2000 + number)
            os.setxattr(path, "trusted.note", b"root's")
        os.utime(path, ns=(r.randrange(1 << 60), r.randrange(1 << 60)))
    os.symlink("../nowhere", pathlib.Path(root, "d0/dangling"))
    os.symlink("e0", pathlib.Path(root, "d0/symlink"))
    os.mkfifo(pathlib.Path(root, "d1/fifo"), 0o620)
    with open(pathlib.Path(root, "d1/sparse"), "wb") as file:
        file.truncate(5_000_000)
        os.pwrite(file.fileno(), b"island", 3_000_000)
    os.mkdir(pathlib.Path(root, "d1/empty"), 0o700)
    pathlib.Path(os.fsdecode(os.fsencode(str(root)) + b"/d1/\xff\xfe name")).write_bytes(b"bytes")
    if os.geteuid() == 0:
        os.mknod(pathlib.Path(root, "d1/device"), 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    for folder, _, _ in os.walk(root, topdown=False):
        os.utime(folder, ns=(5_000_000_001, 6_000_000_002))


def picture(root, attributes=True):
    """What a tree is: kinds, modes, owners, times, attributes, contents, and which names are one file."""
    found, numbers = {}, {}
    for folder, folders, names in os.walk(os.fsencode(root)):
        for name in [*folders, *names, b"."]:
            path = os.path.join(folder, name)
            status, relative = os.lstat(path), os.path.relpath(path, os.fsencode(root))
            content = b""
            if stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(pathlib.Path(os.fsdecode(path)).read_bytes()).digest()
                numbers.setdefault(status.st_ino, relative)
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            is_folder = stat.S_ISDIR(status.st_mode)
            # rsync leaves the times of all others alone.
            time_matters = is_folder or stat.S_ISREG(status.st_mode)
            kept = {name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)
                    if not name.startswith("user.sync.")} if attributes else {}
            found[relative] = (
                oct(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns if time_matters else 0,
                0 if is_folder else status.st_size, status.st_rdev, 0 if is_folder else status.st_nlink,
                numbers.get(status.st_ino), kept, content)
    return found


def same(one, other, what):
    differing = [path for path in one.keys() | other.keys() if one.get(path) != other.get(path)]
    if differing:
        path = differing[0]
        raise Failure(f"{what}: {len(differing)} of {len(one)} differ; {path!r} is {other.get(path)}, not {one.get(path)}")


def round_trip(desk, there, back, what):
    """Copies a tree into the mount and out again: it is the same in both places, also after the worker was killed."""
    source = pathlib.Path(desk.beside, "source")
    source.mkdir()
    make_tree(source)
    expected = picture(source)
    for folder in (os.path.join(desk.here, "tree"), os.path.join(desk.beside, "back")):
        os.mkdir(folder)
    there(str(source), os.path.join(desk.here, "tree"))
    same(expected, picture(os.path.join(desk.here, "tree")), f"{what} into the mount")
    desk.served.kill_worker()
    back(os.path.join(desk.here, "tree"), os.path.join(desk.beside, "back"))
    same(expected, picture(os.path.join(desk.beside, "back")), f"{what} out of the mount")


@program("rsync -aHAX brings a tree in and out with all that it has, and then finds nothing to do")
def rsync(desk):
    def copy(source, target, *words):
        return desk.run("rsync", "-aHAX", "--sparse", "--filter=-x user.sync.*", *words, f"{source}/", f"{target}/")
    round_trip(desk, copy, copy, "rsync")
    if todo := copy(os.path.join(desk.beside, "source"), os.path.join(desk.here, "tree"), "--checksum", "--itemize-changes"):
        raise Failure(f"rsync finds something to do: {todo}")


@program("tar with attributes and sparse files brings a tree in and out with all that it has")
def tar(desk):
    words = ["--xattrs", "--xattrs-include=*", "--xattrs-exclude=user.sync.*", "--sparse", "--numeric-owner"]

    def copy(source, target):
        archive = os.path.join(desk.beside, "tree.tar")
        desk.run("tar", "--format=pax", *words, "-C", source, "-cf", archive, ".")
        desk.run("tar", *words, "-C", target, "-xpf", archive)
    round_trip(desk, copy, copy, "tar")


@program("cp -a, mv and diff see the same tree")
def coreutils(desk):
    def copy(source, target):
        desk.run("cp", "-a", f"{source}/.", target)
    round_trip(desk, copy, lambda source, target: desk.run(
        "rsync", "-aHAX", "--filter=-x user.sync.*", f"{source}/", f"{target}/"), "cp -a")
    # A FIFO and a device are not for diff.
    for root in (os.path.join(desk.beside, "source"), os.path.join(desk.here, "tree")):
        for name in ("fifo", "device"):
            pathlib.Path(root, "d1", name).unlink(missing_ok=True)
    desk.run("diff", "-r", "--no-dereference", os.path.join(desk.beside, "source"), os.path.join(desk.here, "tree"))
    desk.run("mv", os.path.join(desk.here, "tree"), os.path.join(desk.beside, "moved out"))
    desk.run("mv", os.path.join(desk.beside, "moved out"), os.path.join(desk.here, "moved in"))
    desk.run("diff", "-r", "--no-dereference", os.path.join(desk.beside, "source"), os.path.join(desk.here, "moved in"))
    desk.run("rm", "-rf", os.path.join(desk.here, "moved in"))


@program("unzip unpacks what zip packed, in the mount and out of it")
def unzip(desk):
    source = os.path.join(desk.beside, "source")
    r = random.Random(3)
    for number in range(30):
        path = pathlib.Path(source, f"folder {number % 4}", f"file {number}.txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(r.randbytes(500) * r.randrange(1, 2_000))
        os.utime(path, (1_600_000_000 + 2 * number, 1_600_000_000 + 2 * number))
    desk.run("zip", "-qrX", os.path.join(desk.here, "packed.zip"), ".", cwd=source)
    desk.run("unzip", "-tq", "packed.zip")
    desk.run("unzip", "-q", "packed.zip", "-d", "unpacked")
    desk.run("diff", "-r", source, "unpacked")
    for path in pathlib.Path(source).rglob("*.txt"):
        there = pathlib.Path(desk.here, "unpacked", path.relative_to(source))
        if int(there.stat().st_mtime) != int(path.stat().st_mtime):
            raise Failure(f"{there}: another time")


def main():
    started, failed = time.monotonic(), 0
    chosen = [(body, sentence) for body, sentence in PROGRAMS if os.environ.get("ONLY", "") in body.__name__]

    def run_all(served, folder):
        nonlocal failed
        for body, sentence in chosen:
            begun, wrong = time.monotonic(), None
            here, beside = (pathlib.Path(root, body.__name__) for root in (served.mnt, folder))
            for path in (here, beside):
                path.mkdir()
            try:
                body(Desk(here, beside, served))
            except (Failure, OSError, AssertionError, sqlite3.Error, subprocess.SubprocessError) as error:
                wrong = f"{type(error).__name__}: {error}"
            shutil.rmtree(beside, ignore_errors=True)
            failed += wrong is not None
            print(f"{'FAIL' if wrong else 'ok  '} {body.__name__} ({time.monotonic() - begun:.1f} s): {sentence}"
                  + (f"\n     {wrong}" if wrong else ""), flush=True)

    if not is_served(run_all):
        failed += 1
    print(f"programs: {len(chosen) - failed} passed, {failed} failed ({time.monotonic() - started:.0f} s)")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
