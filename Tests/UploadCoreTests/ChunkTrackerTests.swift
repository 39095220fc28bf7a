import Testing
import UploadCore
import UploadProtocol

@Suite("ChunkTracker")
struct ChunkTrackerTests {
  private static let chunk = Int64(ChunkLayout.chunkBytes)

  /// A tracker and its clock, with a journal that hands out versions.
  struct Recorder {
    var tracker: ChunkTracker
    var now = Instant(nanoseconds: 0)
    var version: UInt32 = 1
    /// What the journal was asked to reopen, one element a request.
    var reopened: [[Int]] = []
    var dropped: [Int] = []

    init(
      size: Int64 = 0, handedOff: [Int] = [], reopened: [Int: ChunkVersion] = [:], policy: SealPolicy = SealPolicy()
    ) {
      var set = ChunkSet()
      handedOff.forEach { set.insert($0) }
      tracker = ChunkTracker(
        size: size, baseVersion: .first, handedOff: set, reopened: reopened, policy: policy, now: now)
    }

    @discardableResult
    mutating func write(_ offset: Int64, _ count: Int64) -> [SealedChunk] {
      let change = tracker.beginWrite(offset: offset, count: count, now: now)
      answer(change)
      return tracker.endWrite(change, offset: offset, written: count, now: now)
    }

    mutating func truncate(_ size: Int64) {
      let change = tracker.beginTruncate(to: size, now: now)
      answer(change)
      tracker.endTruncate(change, to: size, now: now)
    }

    mutating func answer(_ change: ChunkTracker.Change) {
      if !change.reopen.isEmpty {
        version += 1
        reopened.append(change.reopen)
        let version = ChunkVersion(version)
        tracker.didReopen(Dictionary(uniqueKeysWithValues: change.reopen.map { ($0, version) }))
      }
      if let index = change.dropFrom {
        version += 1
        dropped.append(index)
        tracker.didDrop(from: index, base: ChunkVersion(version))
      }
    }

    mutating func sealDue(after span: Span) -> [Int] {
      now = now + span
      return tracker.sealDue(now: now).map(\.index)
    }
  }

  @Test("a chunk is sealed by the write that completes it")
  func appending() {
    var recorder = Recorder()

    #expect(recorder.write(0, Self.chunk - 1).isEmpty)
    #expect(recorder.write(Self.chunk - 1, 1) == [SealedChunk(index: 0, version: .first, bytes: 1 << 20)])
    #expect(recorder.reopened.isEmpty)
  }

  @Test("one write over three chunks seals those that it fills")
  func largeWrite() {
    var recorder = Recorder()

    let sealed = recorder.write(0, 2 * Self.chunk + 5)

    #expect(sealed.map(\.index) == [0, 1])
    #expect(recorder.tracker.size == 2 * Self.chunk + 5)
    #expect(!recorder.tracker.isSealed)
  }

  @Test("a chunk with another writer inside is not sealed before that one has left")
  func twoWriters() {
    var recorder = Recorder()
    recorder.write(0, 100)
    let slow = recorder.tracker.beginWrite(offset: 50, count: 10, now: recorder.now)
    #expect(recorder.write(100, Self.chunk - 100).isEmpty)

    #expect(recorder.sealDue(after: .seconds(3_600)).isEmpty)
    _ = recorder.tracker.endWrite(slow, offset: 50, written: 10, now: recorder.now)
    #expect(recorder.sealDue(after: .seconds(3)) == [0])
  }

  @Test("a write into a sealed chunk asks the journal once, and not again until it is sealed")
  func reopening() {
    var recorder = Recorder()
    recorder.write(0, Self.chunk)

    recorder.write(4, 4)
    recorder.write(8, 4)

    #expect(recorder.reopened == [[0]])
    #expect(recorder.tracker.sealAll() == [SealedChunk(index: 0, version: ChunkVersion(2), bytes: 1 << 20)])
    recorder.write(4, 4)
    #expect(recorder.reopened == [[0], [0]])
  }

  @Test("another write waits while the journal is reopening its chunk")
  func isReopening() {
    var recorder = Recorder()
    recorder.write(0, Self.chunk)
    let first = recorder.tracker.beginWrite(offset: 0, count: 4, now: recorder.now)
    let second = recorder.tracker.beginWrite(offset: 9, count: 4, now: recorder.now)

    #expect(second.reopen.isEmpty)
    #expect(second.isContended && !first.isContended)
    _ = recorder.tracker.endWrite(second, offset: 9, written: 0, now: recorder.now)
    recorder.answer(first)
    #expect(!recorder.tracker.beginWrite(offset: 9, count: 4, now: recorder.now).isContended)
  }

  @Test("a write over two chunks waits for the one that another write has reopened, and gives its own back")
  func contendedWrite() {
    var recorder = Recorder()
    recorder.write(0, 2 * Self.chunk)
    _ = recorder.tracker.beginWrite(offset: 0, count: 4, now: recorder.now)
    let both = recorder.tracker.beginWrite(offset: 0, count: Int64(Self.chunk) + 4, now: recorder.now)

    #expect(both.isContended)
    #expect(both.reopen == [1])
    _ = recorder.tracker.endWrite(both, offset: 0, written: 0, now: recorder.now)
    recorder.tracker.abandon(both.reopen)
    #expect(recorder.tracker.isHandedOff(1))
  }

  @Test("a chunk that the journal could not reopen stays handed off")
  func abandoned() {
    var recorder = Recorder()
    recorder.write(0, Self.chunk)
    let change = recorder.tracker.beginWrite(offset: 0, count: 4, now: recorder.now)

    recorder.tracker.abandon(change.reopen)
    _ = recorder.tracker.endWrite(change, offset: 0, written: 0, now: recorder.now)

    #expect(recorder.tracker.isSealed)
    recorder.write(0, 4)
    #expect(recorder.reopened == [[0]])
  }

  @Test("a rewritten chunk is sealed once it has been quiet")
  func quiet() {
    var recorder = Recorder()
    recorder.write(0, 2 * Self.chunk)
    recorder.write(4, 4)

    #expect(recorder.sealDue(after: .seconds(1)).isEmpty)
    recorder.write(4, 4)
    #expect(recorder.sealDue(after: .milliseconds(1_900)).isEmpty)
    #expect(recorder.sealDue(after: .milliseconds(200)) == [0])
    #expect(recorder.tracker.deadline == nil)
  }

  @Test("a chunk that is rewritten without end is sealed after the lag, and then ever more rarely")
  func hotChunk() {
    var recorder = Recorder()
    recorder.write(0, 2 * Self.chunk)
    var moments: [Int64] = []

    for second in 1...200 {
      recorder.write(4, 4)
      if !recorder.sealDue(after: .seconds(1)).isEmpty { moments.append(Int64(second)) }
    }

    let gaps = zip(moments, moments.dropFirst()).map { $1 - $0 }
    #expect(moments.count <= 5, "\(moments)")
    #expect(moments.first.map { $0 <= 21 } == true)
    #expect(gaps == gaps.sorted())
  }

  @Test("an open tail is sealed after the lag, counted from its first byte")
  func tail() {
    var recorder = Recorder()
    recorder.write(0, 10)
    #expect(recorder.sealDue(after: .seconds(6)).isEmpty)
    recorder.write(10, 10)

    #expect(recorder.tracker.deadline == Instant(nanoseconds: 10_000_000_000))
    #expect(recorder.sealDue(after: .seconds(4)) == [0])
  }

  @Test("a tail that goes on after it was sealed becomes a later version")
  func tailGoesOn() {
    var recorder = Recorder()
    recorder.write(0, 10)
    #expect(recorder.tracker.sealAll() == [SealedChunk(index: 0, version: .first, bytes: 10)])

    let sealed = recorder.write(10, Self.chunk - 10)

    #expect(recorder.reopened == [[0]])
    #expect(sealed == [SealedChunk(index: 0, version: ChunkVersion(2), bytes: 1 << 20)])
  }

  @Test("a hole is sealed after the lag, in batches")
  func holes() {
    var policy = SealPolicy()
    policy.batch = 2
    var recorder = Recorder(policy: policy)
    #expect(recorder.write(5 * Self.chunk, Self.chunk).map(\.index) == [5])

    #expect(recorder.sealDue(after: .seconds(9)).isEmpty)
    #expect(recorder.sealDue(after: .seconds(1)) == [0, 1])
    #expect(recorder.sealDue(after: .zero) == [2, 3])
    #expect(recorder.sealDue(after: .zero) == [4])
    #expect(recorder.tracker.sealAll().isEmpty)
    #expect(recorder.tracker.isSealed)
  }

  @Test("writing past a partial tail reopens the tail, because zeros fill it")
  func growingPastTail() {
    var recorder = Recorder(size: 100, handedOff: [0])

    recorder.write(3 * Self.chunk, 5)

    #expect(recorder.reopened == [[0]])
    let sealed = recorder.tracker.sealAll()
    #expect(sealed.map(\.index).sorted() == [0, 1, 2, 3])
    #expect(sealed.first { $0.index == 0 }?.bytes == 1 << 20)
    #expect(sealed.first { $0.index == 3 }?.bytes == 5)
  }

  @Test("shortening within a chunk reopens it and drops those beyond")
  func truncating() {
    var recorder = Recorder(size: 4 * Self.chunk, handedOff: [0, 1, 2, 3])

    recorder.truncate(Self.chunk + 7)

    #expect(recorder.reopened == [[1]])
    #expect(recorder.dropped == [2])
    #expect(recorder.tracker.sealAll() == [SealedChunk(index: 1, version: ChunkVersion(2), bytes: 7)])
  }

  @Test("shortening at a chunk's border reopens nothing")
  func truncatingAtBorder() {
    var recorder = Recorder(size: 4 * Self.chunk, handedOff: [0, 1, 2, 3])

    recorder.truncate(2 * Self.chunk)

    #expect(recorder.reopened.isEmpty)
    #expect(recorder.dropped == [2])
    #expect(recorder.tracker.isSealed)
  }

  @Test("what grows again after a shortening has versions above all earlier ones")
  func versionsAfterTruncation() {
    var recorder = Recorder(size: 4 * Self.chunk, handedOff: [0, 1, 2, 3])
    recorder.truncate(0)

    let sealed = recorder.write(0, 2 * Self.chunk)

    #expect(sealed.map(\.version) == [ChunkVersion(2), ChunkVersion(2)])
  }

  @Test("a size that stays the same changes nothing")
  func sameSize() {
    var recorder = Recorder(size: 100, handedOff: [0])

    recorder.truncate(100)

    #expect(recorder.reopened.isEmpty && recorder.dropped.isEmpty)
    #expect(recorder.tracker.isSealed)
  }

  @Test("bytes found at the start that the journal does not know are sealed after the lag")
  func foundAtStart() {
    var recorder = Recorder(size: 3 * Self.chunk + 1, handedOff: [0, 2])

    #expect(recorder.tracker.oldestUnsealed == Instant(nanoseconds: 0))
    #expect(recorder.sealDue(after: .seconds(10)) == [1, 3])
    #expect(recorder.tracker.oldestUnsealed == nil)
  }

  @Test("a chunk that was open at the end of the last life is sealed as the version that the journal promised")
  func openAtStart() {
    var recorder = Recorder(size: 2 * Self.chunk, handedOff: [1], reopened: [0: ChunkVersion(7)])

    #expect(recorder.tracker.sealAll() == [SealedChunk(index: 0, version: ChunkVersion(7), bytes: 1 << 20)])
    #expect(recorder.sealDue(after: .seconds(60)).isEmpty)
  }

  @Test("a write that failed leaves no chunk beyond the end behind")
  func failedWrite() {
    var recorder = Recorder()
    let change = recorder.tracker.beginWrite(offset: 3 * Self.chunk, count: 10, now: recorder.now)

    _ = recorder.tracker.endWrite(change, offset: 3 * Self.chunk, written: 0, now: recorder.now)

    #expect(recorder.tracker.size == 0)
    #expect(recorder.tracker.isSealed)
  }

  @Test("a partial tail is not sealed while another write is about to go past it")
  func tailUnderExtension() {
    var recorder = Recorder()
    recorder.write(0, 100)
    // Both begin when chunk 0 is the tail; the first makes chunk 2 the tail, which the second knows nothing of.
    let past = recorder.tracker.beginWrite(offset: 5 * Self.chunk, count: 10, now: recorder.now)
    recorder.write(2 * Self.chunk, 10)

    let early = recorder.tracker.sealAll()
    #expect(!early.contains { $0.index == 2 })
    #expect(recorder.tracker.endWrite(past, offset: 5 * Self.chunk, written: 10, now: recorder.now).isEmpty)
    var sealed = early
    while case let more = recorder.tracker.sealAll(), !more.isEmpty { sealed += more }

    #expect(sealed.filter { $0.index == 2 }.map(\.bytes) == [ChunkLayout.chunkBytes])
    #expect(recorder.tracker.isSealed)
  }

  @Test("nor while a truncation is about to make it longer")
  func tailUnderTruncation() {
    var recorder = Recorder()
    let grow = recorder.tracker.beginTruncate(to: 4 * Self.chunk, now: recorder.now)
    recorder.write(0, 100)
    #expect(recorder.tracker.sealAll().isEmpty)
    recorder.tracker.endTruncate(grow, to: 4 * Self.chunk, now: recorder.now)

    #expect(recorder.tracker.sealAll().map(\.bytes) == [Int](repeating: ChunkLayout.chunkBytes, count: 4))
  }

  @Test("a write that fails gives the tail free again")
  func failedExtension() {
    var recorder = Recorder()
    recorder.write(0, 100)
    let past = recorder.tracker.beginWrite(offset: 5 * Self.chunk, count: 10, now: recorder.now)
    _ = recorder.tracker.endWrite(past, offset: 5 * Self.chunk, written: 0, now: recorder.now)

    #expect(recorder.tracker.sealAll().map(\.bytes) == [100])
  }

  @Test("chunks that fill up while seals are not wanted cost nothing, and are sealed later")
  func sealedLater() {
    var recorder = Recorder()
    for index in 0..<100 {
      let change = recorder.tracker.beginWrite(offset: Int64(index) * Self.chunk, count: Self.chunk, now: recorder.now)
      let sealed = recorder.tracker.endWrite(
        change, offset: Int64(index) * Self.chunk, written: Self.chunk, seals: false, now: recorder.now)
      #expect(sealed.isEmpty)
    }

    #expect(!recorder.tracker.isSealed)
    #expect(recorder.tracker.sealAll().map(\.index) == Array(0..<100))
    #expect(recorder.tracker.isSealed)
  }

  @Test("random changes: every chunk that differs from what was handed off is sealed in the end", arguments: 1...50)
  func randomChanges(seed: UInt64) {
    var generator = SplitMix64(seed: seed)
    var recorder = Recorder()
    // What each chunk was when it was last sealed, as a counter of changes.
    var (changes, sealedAt): ([Int: Int], [Int: Int]) = ([:], [:])
    var versions: [Int: ChunkVersion] = [:]
    func note(_ sealed: [SealedChunk]) {
      for chunk in sealed {
        if let last = versions[chunk.index], changes[chunk.index] != sealedAt[chunk.index] {
          #expect(chunk.version > last, "chunk \(chunk.index)")
        }
        versions[chunk.index] = chunk.version
        sealedAt[chunk.index] = changes[chunk.index, default: 0]
      }
    }

    for step in 1...200 {
      let size = recorder.tracker.size
      switch Int.random(in: 0..<10, using: &generator) {
      case 0...4:
        let count = Int64.random(in: 1...2 * Self.chunk, using: &generator)
        for index in ChunkLayout.indexes(offset: size, count: count) { changes[index] = step }
        note(recorder.write(size, count))
      case 5...6 where size > 0:
        let offset = Int64.random(in: 0..<size, using: &generator)
        changes[Int(offset / Self.chunk)] = step
        note(recorder.write(offset, 1))
      case 7:
        let newSize = Int64.random(in: 0...max(1, size), using: &generator)
        if newSize != size {
          for index in Int(newSize / Self.chunk)...Int(size / Self.chunk) { changes[index] = step }
        }
        recorder.truncate(newSize)
      default:
        recorder.now = recorder.now + .seconds(Int64.random(in: 0...5, using: &generator))
        note(recorder.tracker.sealDue(now: recorder.now))
      }
    }
    while case let sealed = recorder.tracker.sealAll(), !sealed.isEmpty { note(sealed) }

    #expect(recorder.tracker.isSealed)
    for index in 0..<ChunkLayout.chunkCount(size: recorder.tracker.size) {
      #expect(sealedAt[index] == changes[index], "chunk \(index)")
    }
  }
}
