import UploadCore
import UploadProtocol

/// I2 for bytes that are at the destination only, and I7.
extension Checker {
  // MARK: I2: evicted bytes

  /// Local bytes are about to go: the journal must vouch for exactly these, and the receiver have them.
  mutating func evicting(_ chunk: ChunkID, _ file: SimulatedFile, _ world: SimulatedWorld) {
    let row = world.journal.rows.sessions[chunk.session]?.chunks[chunk.index]
    guard let row, row.digest == file.digest(of: chunk.index) else {
      // Rows of before a power cut may be of other bytes; recovery has compared those that could be.
      return fail("I2", "chunk \(chunk.index) of \(chunk.session.number) is evicted, the journal has other bytes")
    }
    guard world.fetchable(chunk) == row.digest else {
      return fail("I2", "chunk \(chunk.index) of \(chunk.session.number) is evicted, and nowhere else")
    }
  }

  mutating func cameBackDifferent(_ chunk: ChunkID, _ held: ChunkDigest?) {
    let what = held == nil ? "the receiver has nothing of it" : "it came back as other bytes"
    fail("I2", "chunk \(chunk.index) of \(chunk.session.number) was evicted, and \(what)")
  }

  /// Whoever reads gets what was written.
  mutating func read(_ chunk: ChunkID, _ file: SimulatedFile) {
    guard file.localBytes(of: chunk.index) == file.contents[chunk.index] else {
      return fail("I2", "chunk \(chunk.index) of \(chunk.session.number) reads as a hole")
    }
  }

  /// A power cut may take what was not synced. What was evicted once was synced, wherever it is now.
  mutating func cutPower(before: SimulatedFile, after: SimulatedFile) {
    for index in before.safe.indexes {
      let isKept = index < after.chunkCount && after.digest(of: index) == before.digest(of: index)
      if !isKept { fail("I2", "a power cut lost chunk \(index) of \(before.session.number), which had been evicted") }
    }
  }

  // MARK: I7

  /// A write begins: it asks the journal about exactly those chunks that the journal vouches for, so that appending
  /// waits for nothing, and nobody sends a version whose bytes are changing.
  mutating func began(_ change: ChunkTracker.Change, _ file: SimulatedFile) {
    if change.isContended { fail("I7", "a write to \(file.session.number) waits for another one") }
    let vouched = change.touching(file.vouched)
    for index in change.reopen where !vouched.contains(index) {
      fail("I7", "a write to \(file.session.number) waits for the journal, which knows nothing of chunk \(index)")
    }
    for index in vouched where !change.reopen.contains(index) {
      fail("I2", "chunk \(index) of \(file.session.number) changes, and the journal still vouches for it")
    }
  }
}
