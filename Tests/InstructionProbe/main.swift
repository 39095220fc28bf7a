// Two fixed runs, whose instructions `Tests/Bench/instructions.py` counts. One thread, no network, always the same work.
// Not an asynchronous main: it would end in dispatch_main, and with it Valgrind 3.19.
import Foundation
import Glibc
import Spool
import SystemPackage
import UploadCore
import UploadProtocol
import UploadSimulator

/// The uploader's decisions: the first seeds of the simulation.
func runScheduler() {
  for seed: UInt64 in 0..<60 {
    precondition(Simulation.run(seed: seed).violation == nil, "seed \(seed) broke an invariant: make simulate")
  }
}

struct StandingClock: MonotonicClock {
  var now: Instant { Instant(nanoseconds: 0) }
}

/// What each write of a recorder costs in the spool and the journal: 24 MiB in 4 KiB writes, 40 MiB in 1 MiB writes, and a header
/// that is patched once for each chunk.
func runWritePath() throws {
  let folder = try makeFolder()
  defer { try? FileManager.default.removeItem(atPath: folder) }
  let journal = try Journal(path: folder + "/journal.sqlite")
  defer { journal.close() }
  let spool = Spool(
    tree: try SpoolTree(recordings: FilePath(folder + "/recordings"), orphans: FilePath(folder + "/orphans")), journal: journal,
    clock: StandingClock(), sealPolicy: SealPolicy(), settleTime: .seconds(1), feeds: [],
    fetchChunk: { _ in throw SpoolError.missing }, wake: {})
  var inbox = SpoolInbox(spool: spool, controls: Mailbox<UploadEvent>(), restored: [])
  let recording = try create("take", in: spool)
  let block = [UInt8](repeating: 7, count: ChunkLayout.chunkBytes)
  for chunk in 0..<64 {
    let step = chunk < 24 ? 4_096 : block.count
    for start in stride(from: 0, to: block.count, by: step) {
      try write(recording, Int64(chunk * block.count + start), block[..<step])
    }
    try write(recording, 0, block[..<100])
    try record(&inbox, journal)
  }
  recording.closed(forWriting: true)
  try record(&inbox, journal)
}

func makeFolder() throws -> String {
  let folder = FileManager.default.temporaryDirectory.path + "/reelfs-instructions-\(getpid())"
  for name in ["recordings", "orphans"] {
    try FileManager.default.createDirectory(atPath: folder + "/" + name, withIntermediateDirectories: true)
  }
  return folder
}

func create(_ name: String, in spool: Spool) throws -> Recording {
  let path = Array(name.utf8)
  let file = try Backing.open(path, in: spool.tree.root, flags: O_RDWR | O_CREAT | O_EXCL, mode: 0o644)
  let inode = try Backing.status(file).inode
  spool.tree.remember(inode, as: path, in: spool.tree.rootInode)
  let recording = try spool.adopt(file, inode: inode, path: path, isNew: true)
  try recording.opened(forWriting: true)
  return recording
}

func write(_ recording: Recording, _ offset: Int64, _ bytes: ArraySlice<UInt8>) throws {
  let change = try recording.beginWrite(offset: offset, count: Int64(bytes.count))
  _ = try recording.descriptor.writeAll(toAbsoluteOffset: offset, bytes)
  recording.endWrite(change, offset: offset, written: Int64(bytes.count))
}

/// Journals what happened as the uploader does, with a receipt for each sealed chunk.
func record(_ inbox: inout SpoolInbox, _ journal: Journal) throws {
  let digest = ChunkDigest(bytes: [UInt8](repeating: 1, count: ChunkDigest.byteCount))!
  for event in inbox.drain(now: Instant(nanoseconds: 0)) {
    switch event {
    case .registered(let session, let facts): try journal.record([.registered(session, facts)])
    case .opened(let session): try journal.record([.opened(session)])
    case .sealed(let chunk, let version, let bytes):
      try journal.record([.sealed(chunk, version, bytes: bytes)])
      try journal.record([.stored(chunk, version, digest)])
    default: break
    }
  }
}

switch CommandLine.arguments.dropFirst().first {
case "scheduler": runScheduler()
case "write-path": try runWritePath()
default:
  FileHandle.standardError.write(Data("usage: instruction-probe scheduler|write-path\n".utf8))
  exit(64)
}
