import Testing
import UploadCore
import UploadProtocol

@Suite("Scheduler: order and limits")
struct SchedulerOrderTests {
  /// Stores everything, one request at a time, and returns the chunks in the order in which they were started.
  private func drain(_ harness: inout SchedulerHarness, _ first: [Transfer]) -> [ChunkID] {
    var order: [ChunkID] = []
    var waiting = first
    while !waiting.isEmpty {
      let transfer = waiting.removeFirst()
      if case .chunk(let chunk) = transfer.request { order.append(chunk) }
      waiting += starts(harness.store(transfer))
    }
    return order
  }

  @Test("high before normal before low, the lowest chunk first")
  func priorities() {
    var harness = SchedulerHarness { $0.parallel = 1 }
    harness.tell(.control(.pauseAll))
    harness.restore(1, pending: [0..<2], priority: .low)
    harness.restore(2, pending: [0..<2], priority: .normal)
    harness.restore(3, pending: [0..<2], priority: .high)

    harness.tell(.control(.resumeAll))
    let order = drain(&harness, starts(harness.effects))

    #expect(order == [chunk(3, 0), chunk(3, 1), chunk(2, 0), chunk(2, 1), chunk(1, 0), chunk(1, 1)])
  }

  @Test("a recording that is still open goes before finished ones")
  func activeFirst() {
    var harness = SchedulerHarness { $0.parallel = 1 }
    harness.tell(.control(.pauseAll))
    harness.restore(1, pending: [0..<2])
    let active = harness.restore(2, pending: [0..<2])
    harness.tell(.opened(active))

    harness.tell(.control(.resumeAll))
    let order = drain(&harness, starts(harness.effects))

    #expect(order == [chunk(2, 0), chunk(2, 1), chunk(1, 0), chunk(1, 1)])
  }

  @Test("recordings of one kind share evenly, whatever their length")
  func fairShares() {
    var harness = SchedulerHarness { $0.parallel = 1 }
    harness.tell(.control(.pauseAll))
    harness.restore(1, pending: [0..<100])
    harness.restore(2, pending: [0..<10])

    harness.tell(.control(.resumeAll))
    let order = drain(&harness, starts(harness.effects))

    #expect(order.count == 110)
    #expect(order.prefix(20).filter { $0.session.number == 2 }.count == 10)
  }

  @Test("a chunk that is rewritten for ever does not keep the rest at home")
  func hotChunkDoesNotStarve() throws {
    var harness = SchedulerHarness { $0.parallel = 1 }
    let id = harness.restore(1, pending: [0..<10])
    var sent: Set<Int> = []

    for _ in 0..<100 {
      let transfer = try #require(starts(harness.effects).first)
      guard case .chunk(let chunk) = transfer.request else { break }
      sent.insert(chunk.index)
      harness.tell(.reopened(ChunkID(id, 0)))
      harness.tell(.sealed(ChunkID(id, 0), ChunkVersion(2), bytes: 1))
      harness.store(transfer)
    }

    #expect(sent == Set(0..<10))
  }

  @Test("never more in flight than the policy says, and one attempt a chunk", arguments: [1, 4, 7])
  func inFlightLimit(parallel: Int) {
    var harness = SchedulerHarness { $0.parallel = parallel }
    harness.warmUp()

    harness.restore(1, pending: [0..<100])

    #expect(harness.scheduler.summary.inFlight == parallel)
    #expect(Set(starts(harness.effects).map(\.request)).count == parallel)
  }

  @Test("a fresh start ramps up: one request, then two, then four")
  func rampUp() {
    var harness = SchedulerHarness()
    harness.restore(1, pending: [0..<100])
    #expect(starts(harness.effects).count == 1)
    let first = starts(harness.effects)

    let second = starts(harness.store(first[0]))
    let third = starts(harness.store(second[0]))

    #expect(second.count == 2)
    #expect(third.count == 3)
    #expect(harness.scheduler.summary.inFlight == 4)
  }

  @Test("the limit holds over all transfers, and each knows it")
  func limit() {
    var harness = SchedulerHarness()
    harness.warmUp()
    harness.tell(.control(.limit(bytesPerSecond: 1 << 20)))
    harness.restore(1, pending: [0..<1_000])
    var waiting = starts(harness.effects)
    var stored = 0

    for _ in 0..<60 {
      while let transfer = waiting.popLast() {
        #expect(transfer.bytesPerSecondMax == 1 << 20)
        stored += 1
        waiting += starts(harness.store(transfer))
      }
      waiting += starts(harness.pass(.seconds(1)))
    }

    #expect((58...62).contains(stored))
  }

  @Test("a lifted limit lets everything go at once")
  func limitLifted() {
    var harness = SchedulerHarness()
    harness.warmUp()
    harness.tell(.control(.limit(bytesPerSecond: 1)))
    harness.restore(1, pending: [0..<9])
    harness.pass(.seconds(2))
    #expect(harness.scheduler.summary.inFlight == 1)

    harness.tell(.control(.limit(bytesPerSecond: nil)))

    #expect(harness.scheduler.summary.inFlight == 4)
  }

  @Test("a million waiting chunks cost a turn no more than ten")
  func millionChunks() {
    var harness = SchedulerHarness()
    for number in 0..<1_000 { harness.restore(Int64(number), pending: [0..<1_000]) }
    var waiting = starts(harness.effects)

    // Ten thousand turns: with a walk through all sessions in each, this would take minutes in a debug build.
    for _ in 0..<10_000 {
      guard let transfer = waiting.popLast() else { break }
      waiting += starts(harness.store(transfer))
    }

    #expect(harness.scheduler.pendingChunks + harness.scheduler.summary.inFlight > 0)
  }
}
