import Testing
import UploadCore
import UploadProtocol

@Suite("Scheduler: small recordings that travel whole")
struct SchedulerRecordingsTests {
  static func harness(parallel: Int = 4) -> SchedulerHarness {
    SchedulerHarness {
      $0.wholeBytesMax = 64 << 10
      $0.parallel = parallel
    }
  }

  /// A recording that was written, closed, and has settled. - Returns: what was started by that.
  @discardableResult
  static func record(_ harness: inout SchedulerHarness, _ number: Int64, bytes: Int = 1_000) -> [Transfer] {
    let id = session(number)
    harness.tell(.registered(id, facts(id)))
    var started = starts(harness.effects)
    started += starts(harness.tell(.opened(id)))
    started += starts(harness.tell(.sealed(ChunkID(id, 0), .first, bytes: bytes)))
    return started + starts(harness.tell(.finished(id, size: Int64(bytes))))
  }

  static func stored(_ number: Int64, _ name: String = "take.wav", revision: Int64 = 3) -> StoredRecording {
    StoredRecording(
      session: session(number), facts: facts(session(number), name), version: .first, digest: digest(1), bytes: 1_000,
      revision: revision)
  }

  /// So many recordings that wait while a person has paused all uploads; then he resumes.
  static func batch(_ harness: inout SchedulerHarness, _ numbers: ClosedRange<Int64>, bytes: Int = 1_000) throws -> [Transfer] {
    harness.tell(.control(.pauseAll))
    for number in numbers {
      let id = session(number)
      harness.tell(.registered(id, facts(id)))
      harness.tell(.sealed(ChunkID(id, 0), .first, bytes: bytes))
      harness.tell(.finished(id, size: Int64(bytes)))
    }
    return starts(harness.tell(.control(.resumeAll)))
  }

  @Test("a recording is not announced while nothing of it can be sent")
  func nothingYet() {
    var harness = Self.harness()
    let id = session(1)
    #expect(starts(harness.tell(.registered(id, facts(id)))).isEmpty)
    #expect(starts(harness.tell(.opened(id))).isEmpty)
  }

  @Test("one that becomes longer than that is announced with its first chunk")
  func longer() {
    var harness = Self.harness()
    let id = session(1)
    harness.tell(.registered(id, facts(id)))
    #expect(starts(harness.tell(.sealed(ChunkID(id, 0), .first, bytes: 1 << 20))).map(\.request) == [.announce(id)])
  }

  @Test("recordings that wait together travel in one request, at most 64 and 768 KiB of them")
  func together() throws {
    var harness = Self.harness()
    let started = try Self.batch(&harness, 1...70)
    #expect(started.map(\.request) == [.recordings((1...64).map(session))])

    var large = Self.harness()
    let largeStarted = try Self.batch(&large, 1...70, bytes: 64 << 10)
    #expect(largeStarted.map(\.request) == [.recordings((1...12).map(session))])
  }

  @Test("one receipt makes a recording announced, stored and synced")
  func receipt() throws {
    var harness = Self.harness()
    let transfer = try #require(try Self.batch(&harness, 1...2).first)

    harness.end(transfer, .recordingsStored([Self.stored(1), Self.stored(2)]))

    for number in Int64(1)...2 {
      let id = session(number)
      #expect(records(harness.effects).contains(.stored(ChunkID(id, 0), .first, digest(1))))
      #expect(records(harness.effects).contains(.announced(id, facts(id))))
      #expect(records(harness.effects).contains(.synced(id, revision: 3)))
      #expect(harness.effects.contains(.announce(.sessionUploadComplete(id))))
    }
    #expect(harness.scheduler.sessionCount == 0)
  }

  @Test("one that was refused goes the longer way at once, and is not sent whole again")
  func refused() throws {
    var harness = Self.harness()
    let transfer = try #require(try Self.batch(&harness, 1...2).first)

    harness.end(transfer, .recordingsStored([Self.stored(2)]))

    #expect(starts(harness.effects).map(\.request) == [.announce(session(1))])
    let announcement = try #require(starts(harness.effects).first)
    harness.end(announcement, .announced(facts(session(1))))
    #expect(starts(harness.effects).map(\.request) == [.chunk(chunk(1, 0))])
  }

  @Test(
    "whatever else becomes of the request, the longer way is open",
    arguments: [
      TransferOutcome.rejected("no"), .corrupted("no"), .stale, .unreadable("no"), .sessionUnknown,
      .completed(revision: 3), .reachable,
    ])
  func otherwise(outcome: TransferOutcome) throws {
    var harness = Self.harness()
    let transfer = try #require(try Self.batch(&harness, 1...1).first)
    harness.end(transfer, outcome)
    #expect(starts(harness.effects).map(\.request) == [.announce(session(1))])
  }

  @Test("a receiver that takes no whole recordings is not asked again, and those that waited for it are announced")
  func untaken() throws {
    var harness = Self.harness(parallel: 1)
    let transfer = try #require(try Self.batch(&harness, 1...1).first)
    let other = session(9)
    harness.tell(.registered(other, facts(other)))
    #expect(starts(harness.effects).isEmpty)

    harness.end(transfer, .recordingsUntaken)

    let announcement = try #require(starts(harness.effects).first)
    #expect([UploadRequest.announce(session(1)), .announce(other)].contains(announcement.request))
    harness.tell(.removed(session(1)))
    harness.tell(.removed(other))
    #expect(Self.record(&harness, 20).map(\.request) == [.announce(session(20))])
  }

  @Test("a recording that changed while it travelled counts for nothing, and its change is sent")
  func changed() throws {
    var harness = Self.harness()
    let transfer = try #require(try Self.batch(&harness, 1...1).first)
    harness.tell(.opened(session(1)))
    harness.tell(.reopened(chunk(1, 0)))
    harness.tell(.sealed(chunk(1, 0), ChunkVersion(2), bytes: 900))
    harness.tell(.finished(session(1), size: 900))
    #expect(starts(harness.effects).isEmpty)

    harness.end(transfer, .recordingsStored([Self.stored(1)]))

    #expect(records(harness.effects).isEmpty)
    #expect(starts(harness.effects).map(\.request) == [.announce(session(1))])
  }

  @Test("one that was renamed while it travelled is stored, and announced and completed under its new name")
  func renamed() throws {
    var harness = Self.harness()
    let transfer = try #require(try Self.batch(&harness, 1...1).first)
    let newFacts = facts(session(1), "other.wav")
    harness.tell(.renamed(session(1), newFacts))

    harness.end(transfer, .recordingsStored([Self.stored(1)]))

    #expect(records(harness.effects) == [.stored(chunk(1, 0), .first, digest(1))])
    let announcement = try #require(starts(harness.effects).first)
    #expect(announcement.request == .announce(session(1)))
    harness.end(announcement, .announced(newFacts))
    #expect(starts(harness.effects).map(\.request) == [.complete(session(1))])
  }

  @Test("one that was deleted while it travelled is forgotten, and the others of its request arrive")
  func removed() throws {
    var harness = Self.harness()
    let transfer = try #require(try Self.batch(&harness, 1...2).first)
    harness.tell(.removed(session(1)))
    #expect(!harness.effects.contains(.cancel(transfer.id)))

    harness.end(transfer, .recordingsStored([Self.stored(1), Self.stored(2)]))

    #expect(records(harness.effects).contains(.synced(session(2), revision: 3)))
    #expect(!records(harness.effects).contains(.synced(session(1), revision: 3)))
  }

  @Test("nobody there is found out by a probe, not by each recording, and then they go together again")
  func unreachable() throws {
    var harness = Self.harness()
    let transfer = try #require(try Self.batch(&harness, 1...3).first)
    harness.end(transfer, .unreachable("refused"))
    let probe = try #require(starts(harness.effects).first)
    #expect(probe.request == .probe)
    harness.end(probe, .reachable)
    #expect(starts(harness.effects).map(\.request) == [.recordings((1...3).map(session))])
  }

  @Test("a request that fails as a whole is tried three times, then each recording goes the longer way")
  func failing() throws {
    var harness = Self.harness()
    var transfer = try #require(try Self.batch(&harness, 1...2).first)
    for _ in 0..<2 {
      harness.end(transfer, .retryable("500", after: nil))
      transfer = try #require(starts(harness.effects).first)
      #expect(transfer.request == .recordings([session(1), session(2)]))
    }
    harness.end(transfer, .retryable("500", after: nil))
    #expect(starts(harness.effects).map(\.request) == [.announce(session(1))])
  }

  @Test("after a restart a small recording that nobody has heard of is sent whole")
  func restored() {
    var harness = Self.harness()
    let known = RestoredSession(
      facts: facts(session(1)), pending: [0..<1], isAnnounced: false, isFinished: true, isSynced: false, failure: nil,
      priority: .normal, isHeld: false, size: 1_000)
    harness.tell(.restored(session(1), known))
    #expect(starts(harness.effects).map(\.request) == [.recordings([session(1)])])
  }

  @Test("force ends a request with small recordings, and they go the longer way")
  func forced() throws {
    var harness = Self.harness()
    let transfer = try #require(try Self.batch(&harness, 1...2).first)
    harness.tell(.control(.processUploads(session(2), force: true)))
    #expect(harness.effects.contains(.cancel(transfer.id)))
    let next = try #require(starts(harness.effects).first)
    #expect([UploadRequest.announce(session(1)), .announce(session(2))].contains(next.request))
  }
}
