import Testing
import UploadCore
import UploadProtocol

@Suite("Scheduler: what recorders do")
struct SchedulerSpoolTests {
  @Test("a new session is announced once, before its chunks")
  func announcedFirst() throws {
    var harness = SchedulerHarness()
    let id = session(1)

    harness.tell(.registered(id, facts(id)))
    let announcement = try #require(starts(harness.effects).first)
    harness.tell(.sealed(chunk(1, 0), .first, bytes: 5))
    #expect(starts(harness.effects).isEmpty)
    harness.end(announcement, .announced(facts(id)))

    #expect(announcement.request == .announce(id))
    #expect(records(harness.effects) == [.announced(id, facts(id))])
    #expect(starts(harness.effects).map(\.request) == [.chunk(chunk(1, 0))])
  }

  @Test("a sealed chunk is journaled, sent, and stored only by its receipt")
  func storedByReceipt() throws {
    var harness = SchedulerHarness()
    harness.restore(1, pending: [])

    harness.tell(.sealed(chunk(1, 0), .first, bytes: 5))
    #expect(records(harness.effects) == [.sealed(chunk(1, 0), .first, bytes: 5)])
    let transfer = try #require(starts(harness.effects).first)
    harness.end(transfer, .stored(.first, digest(7), bytes: 5))

    #expect(records(harness.effects) == [.stored(chunk(1, 0), .first, digest(7))])
    #expect(notices(harness.effects) == [.chunkUploaded(chunk(1, 0))])
    #expect(harness.scheduler.pendingChunks == 0)
  }

  @Test("the receipt of a chunk that changed meanwhile records nothing, and the new version is sent afterwards")
  func staleReceipt() throws {
    var harness = SchedulerHarness()
    harness.warmUp()
    harness.restore(1, pending: [0..<1])
    let transfer = try #require(starts(harness.effects).first)

    harness.tell(.reopened(chunk(1, 0)))
    harness.tell(.sealed(chunk(1, 0), ChunkVersion(2), bytes: 5))
    #expect(starts(harness.effects).isEmpty)
    harness.store(transfer)

    #expect(records(harness.effects).isEmpty)
    #expect(starts(harness.effects).map(\.request) == [.chunk(chunk(1, 0))])
  }

  @Test("a chunk that is open again is not sent before it is sealed")
  func openAgain() throws {
    var harness = SchedulerHarness()
    harness.restore(1, pending: [0..<1])
    let transfer = try #require(starts(harness.effects).first)

    harness.tell(.reopened(chunk(1, 0)))
    harness.end(transfer, .retryable("no", after: nil))
    harness.pass(.seconds(100))

    #expect(starts(harness.effects).isEmpty)
    #expect(harness.scheduler.pendingChunks == 0)
  }

  @Test("a finished recording is completed when its last chunk is stored")
  func completion() throws {
    var harness = SchedulerHarness()
    let id = harness.restore(1, pending: [0..<1])
    let transfer = try #require(starts(harness.effects).first)
    harness.tell(.finished(id, size: 5))
    #expect(starts(harness.effects).isEmpty)

    harness.store(transfer)
    let completion = try #require(starts(harness.effects).first)
    harness.end(completion, .completed(revision: 9))

    #expect(completion.request == .complete(id))
    #expect(records(harness.effects) == [.synced(id, revision: 9)])
    #expect(notices(harness.effects) == [.sessionUploadComplete(id)])
    #expect(starts(harness.effects).isEmpty)
  }

  @Test("a completion that was overtaken by a rewrite counts for nothing")
  func overtakenCompletion() throws {
    var harness = SchedulerHarness()
    let id = harness.restore(1, pending: [], isFinished: true)
    let completion = try #require(starts(harness.effects).first)

    harness.tell(.opened(id))
    harness.tell(.reopened(chunk(1, 0)))
    harness.end(completion, .completed(revision: 9))
    #expect(records(harness.effects).isEmpty)
    harness.tell(.sealed(chunk(1, 0), ChunkVersion(2), bytes: 5))
    let transfer = try #require(starts(harness.effects).first)
    harness.tell(.finished(id, size: 5))
    harness.store(transfer)

    #expect(starts(harness.effects).map(\.request) == [.complete(id)])
  }

  @Test("chunks that the destination lacks are sent again")
  func incomplete() throws {
    var harness = SchedulerHarness()
    let id = harness.restore(1, pending: [], isFinished: true)
    let completion = try #require(starts(harness.effects).first)

    harness.end(completion, .incomplete(missing: [3, 1]))

    #expect(records(harness.effects) == [.unstored(chunk(1, 1)), .unstored(chunk(1, 3))])
    #expect(starts(harness.effects).map(\.request) == [.chunk(chunk(1, 1))])
    #expect(harness.scheduler.pending(of: id)?.ranges == [3..<4])
  }

  @Test("a destination that keeps saying incomplete is asked ever more slowly")
  func incompleteForEver() throws {
    var harness = SchedulerHarness()
    let id = harness.restore(1, pending: [], isFinished: true)
    var requests = 0

    for _ in 0..<3_600 {
      while let transfer = starts(harness.effects).first {
        requests += 1
        switch transfer.request {
        case .complete: harness.end(transfer, .incomplete(missing: [0]))
        default: harness.store(transfer)
        }
      }
      harness.pass(.seconds(1))
    }

    #expect(requests < 3_600 / 2)
    #expect(harness.scheduler.summary.troubled[id] != nil)
  }

  @Test("a million lost chunks, ten thousand named at a time, come back without delays")
  func manyMissing() throws {
    var harness = SchedulerHarness()
    harness.restore(1, pending: [], isFinished: true)
    var lost = 0
    var waiting = starts(harness.effects)

    while let transfer = waiting.popLast() {
      if case .complete = transfer.request, lost < 8 {
        waiting += starts(harness.end(transfer, .incomplete(missing: Array(lost * 10..<lost * 10 + 10))))
        lost += 1
      } else if case .chunk = transfer.request {
        waiting += starts(harness.store(transfer))
      } else {
        harness.end(transfer, .completed(revision: 1))
      }
    }

    #expect(lost == 8)
    #expect(records(harness.effects) == [.synced(session(1), revision: 1)])
  }

  @Test("a session unknown to the destination is announced again, and asked what it has")
  func sessionUnknown() throws {
    var harness = SchedulerHarness()
    let id = harness.restore(1, pending: [0..<1], isFinished: true)
    let transfer = try #require(starts(harness.effects).first)

    harness.end(transfer, .sessionUnknown)
    #expect(records(harness.effects) == [.unannounced(id)])
    let announcement = try #require(starts(harness.effects).first)
    harness.end(announcement, .announced(facts(id)))
    let again = try #require(starts(harness.effects).first)
    harness.store(again)

    #expect(announcement.request == .announce(id))
    #expect(again.request == transfer.request)
    #expect(starts(harness.effects).map(\.request) == [.complete(id)])
  }

  @Test("'unknown' about a request from before the last announcement is old news")
  func oldSessionUnknown() throws {
    var harness = SchedulerHarness { $0.parallel = 2 }
    harness.warmUp()
    let id = harness.restore(1, pending: [0..<2])
    let first = try #require(starts(harness.effects).first)
    let second = try #require(starts(harness.effects).last)
    harness.end(first, .sessionUnknown)
    let announcement = try #require(starts(harness.effects).first)
    harness.end(announcement, .announced(facts(id)))

    harness.end(second, .sessionUnknown)

    #expect(records(harness.effects).isEmpty)
    #expect(starts(harness.effects).map(\.request) == [second.request])
  }

  @Test("a version that nobody can have is a strange answer, not a version to go beyond")
  func impossibleVersion() throws {
    var harness = SchedulerHarness()
    let id = harness.restore(1, pending: [0..<1])
    let transfer = try #require(starts(harness.effects).first)

    harness.end(transfer, .superseded(current: ChunkVersion(.max)))

    #expect(records(harness.effects).isEmpty)
    #expect(harness.scheduler.knows(chunk(1, 0)))
    #expect(harness.scheduler.retryMoment(of: id) != nil)
  }

  @Test("a superseded chunk becomes a later version and is sent again")
  func superseded() throws {
    var harness = SchedulerHarness()
    harness.restore(1, pending: [0..<1])
    let transfer = try #require(starts(harness.effects).first)

    harness.end(transfer, .superseded(current: ChunkVersion(4)))

    #expect(records(harness.effects) == [.superseded(chunk(1, 0), current: ChunkVersion(4))])
    #expect(starts(harness.effects).map(\.request) == [.chunk(chunk(1, 0))])
  }

  @Test("a destination that supersedes for ever does not make a hot loop")
  func supersededForEver() throws {
    var harness = SchedulerHarness()
    harness.restore(1, pending: [0..<1])
    var requests = 0

    while let transfer = starts(harness.effects).first, requests < 100 {
      requests += 1
      harness.end(transfer, .superseded(current: ChunkVersion(UInt32(requests))))
    }

    #expect(requests == 4)
  }

  @Test("an announcement that a rename overtook does not count")
  func renamedWhileAnnounced() throws {
    var harness = SchedulerHarness()
    let id = session(1)
    harness.tell(.registered(id, facts(id)))
    let announcement = try #require(starts(harness.effects).first)

    harness.tell(.renamed(id, facts(id, "new.wav")))
    #expect(starts(harness.effects).isEmpty)
    harness.end(announcement, .announced(facts(id)))

    #expect(records(harness.effects).isEmpty)
    #expect(starts(harness.effects).map(\.request) == [.announce(id)])
  }

  @Test("changed attributes are announced although the path is the same")
  func attributesChangedWhileAnnounced() throws {
    var harness = SchedulerHarness()
    let id = session(1)
    harness.tell(.registered(id, facts(id)))
    let announcement = try #require(starts(harness.effects).first)

    harness.tell(.renamed(id, facts(id)))
    harness.end(announcement, .announced(facts(id)))

    #expect(starts(harness.effects).map(\.request) == [.announce(id)])
  }

  @Test("truncation drops what waits and disowns what is in flight")
  func truncated() throws {
    var harness = SchedulerHarness { $0.parallel = 2 }
    harness.warmUp()
    let id = harness.restore(1, pending: [0..<6])
    let transfers = starts(harness.effects)

    harness.tell(.truncated(id, chunkCount: 1, base: ChunkVersion(2)))
    harness.store(transfers[1])
    #expect(records(harness.effects).isEmpty)
    harness.store(transfers[0])

    #expect(records(harness.effects) == [.stored(chunk(1, 0), .first, digest(1))])
    #expect(harness.scheduler.pendingChunks == 0)
    #expect(starts(harness.effects).isEmpty)
  }

  @Test("a removed recording is cancelled and forgotten")
  func removed() throws {
    var harness = SchedulerHarness()
    let id = harness.restore(1, pending: [0..<3])
    let transfer = try #require(starts(harness.effects).first)

    harness.tell(.removed(id))
    #expect(cancels(harness.effects) == [transfer.id])
    #expect(records(harness.effects) == [.removed(id)])
    harness.store(transfer)
    harness.tell(.sealed(chunk(1, 4), .first, bytes: 1))

    #expect(harness.effects.isEmpty)
    #expect(harness.scheduler.summary.inFlight == 0)
    #expect(harness.scheduler.deadline == nil)
  }

  @Test("a chunk that could not be loaded because it is open again is forgotten until it is sealed")
  func staleLoad() throws {
    var harness = SchedulerHarness()
    harness.restore(1, pending: [0..<1])
    let transfer = try #require(starts(harness.effects).first)

    harness.end(transfer, .stale)
    #expect(starts(harness.effects).isEmpty)
    #expect(harness.scheduler.retryMoment(of: session(1)) == nil)
    harness.tell(.sealed(chunk(1, 0), ChunkVersion(2), bytes: 1))

    #expect(starts(harness.effects).map(\.request) == [.chunk(chunk(1, 0))])
  }

  @Test("nothing of a restored session is recorded again, and a synced one is left alone")
  func restoredQuietly() {
    var harness = SchedulerHarness()
    var restored = RestoredSession(
      facts: facts(session(1)), pending: [], isAnnounced: true, isFinished: true, isSynced: true, failure: nil,
      priority: .normal, isHeld: false)

    harness.tell(.restored(session(1), restored))
    #expect(harness.effects.isEmpty)
    restored.isSynced = false
    restored.failure = "too large"
    harness.tell(.restored(session(2), restored))

    #expect(harness.effects.isEmpty)
  }

  @Test("a synced recording is forgotten, and goes on where it was when its spool introduces it again")
  func forgetting() throws {
    var harness = SchedulerHarness()
    let id = harness.restore(1, pending: [], isFinished: true)
    harness.end(try #require(starts(harness.effects).first), .completed(revision: 1))
    #expect(records(harness.effects) == [.synced(id, revision: 1)])
    #expect(harness.scheduler.sessionCount == 0)

    let known = RestoredSession(
      facts: facts(id), pending: [], isAnnounced: true, isFinished: true, isSynced: true, failure: nil,
      priority: .normal, isHeld: false)
    harness.tell(.introduced(id, known))
    #expect(harness.scheduler.sessionCount == 1, "the event it was introduced for has not come yet")
    harness.tell(.opened(id))
    harness.tell(.sealed(ChunkID(id, 0), ChunkVersion(2), bytes: 5))

    #expect(starts(harness.effects).map(\.request) == [.chunk(ChunkID(id, 0))])
  }

  @Test("a recording that is opened at the very moment of its completion is not forgotten")
  func openedWhileCompleting() throws {
    var harness = SchedulerHarness()
    let id = harness.restore(1, pending: [], isFinished: true)
    let completion = try #require(starts(harness.effects).first)
    let known = RestoredSession(
      facts: facts(id), pending: [], isAnnounced: true, isFinished: true, isSynced: false, failure: nil,
      priority: .normal, isHeld: false)

    harness.tell(.introduced(id, known))
    harness.end(completion, .completed(revision: 1))
    harness.tell(.opened(id))
    harness.tell(.sealed(ChunkID(id, 0), ChunkVersion(2), bytes: 5))

    #expect(starts(harness.effects).map(\.request) == [.chunk(ChunkID(id, 0))])
  }

  @Test("a thousand recordings that were sent leave nothing in memory")
  func nothingStays() throws {
    var harness = SchedulerHarness()
    for number in 1...1_000 {
      harness.restore(Int64(number), pending: [0..<1], isFinished: true)
      var waiting = starts(harness.effects)
      while let transfer = waiting.popLast() {
        if case .complete = transfer.request {
          waiting += starts(harness.end(transfer, .completed(revision: 1)))
        } else {
          waiting += starts(harness.store(transfer))
        }
      }
    }

    #expect(harness.scheduler.sessionCount == 0)
  }
}
