import CurlTransport
import FaultyServer
import Glibc
import Testing
import UploadCore

@Suite("Stalls, cancelling, waking")
struct StallTests {
  @Test("a request that moves no byte for the timeout is given up", arguments: [0, 100_000, 1 << 20])
  func stall(bytes: Int) throws {
    let server = try FaultyServer(script: [.stall(afterBodyBytes: bytes)])
    let harness = try Harness(server.url, uploadTimeout: .milliseconds(400))
    let start = harness.clock.now

    let outcome = try harness.outcome(of: .chunk(Harness.chunk()))

    #expect(outcome == .unreachable("no byte moved for 400 ms"))
    #expect(harness.clock.now - start >= .milliseconds(400))
    #expect(harness.clock.now - start < .seconds(10))
  }

  @Test("a stalled transfer's slot and connection are free afterwards")
  func slotAfterStall() throws {
    let server = try FaultyServer { head in
      head.number == 0 ? .stall(afterBodyBytes: 1_000) : .answer(.receipt(for: head))
    }
    let harness = try Harness(server.url, parallel: 1, uploadTimeout: .milliseconds(400))
    let chunk = Harness.chunk()
    _ = try harness.outcome(of: .chunk(chunk), id: 1)

    #expect(try harness.outcome(of: .chunk(chunk), id: 2) == Harness.stored(chunk))
    #expect(harness.poll { server.openConnections == 1 })
  }

  @Test("a slow server is not a stalled one, however long it takes")
  func slowIsNotStalled() throws {
    let server = try FaultyServer { .slowRead(bytesPerSecond: 400_000, .receipt(for: $0)) }
    let harness = try Harness(server.url, uploadTimeout: .seconds(1))
    let chunk = Harness.chunk()
    #expect(try harness.outcome(of: .chunk(chunk)) == Harness.stored(chunk))
  }

  @Test("completing may be silent longer than a chunk")
  func patienceWithCompletion() throws {
    let done = Answer.json(200, #"{"session_id":"sess_0000000000001234","size":2097152}"#)
    let server = try FaultyServer(script: [.delayed(milliseconds: 900, done)])
    let harness = try Harness(server.url, uploadTimeout: .milliseconds(400))
    #expect(try harness.outcome(of: .complete(Harness.manifest())) == .completed(revision: 9))
  }

  @Test("a completion that takes long is told to be alive well within the usual timeout")
  func heartbeat() throws {
    let done = Answer.json(200, #"{"session_id":"sess_0000000000001234","size":2097152}"#)
    let server = try FaultyServer(script: [.delayed(milliseconds: 900, done)])
    let harness = try Harness(server.url, uploadTimeout: .milliseconds(400))
    var moments = [harness.clock.now]
    var outcome: TransferOutcome?
    harness.start(.complete(Harness.manifest()), id: 1)
    while outcome == nil, harness.clock.now - moments[0] < .seconds(30) {
      for event in harness.transport.poll(until: moments[0] + .seconds(30)) {
        moments.append(harness.clock.now)
        if case .transferred(_, let ended) = event { outcome = ended }
      }
    }

    #expect(outcome == .completed(revision: 9))
    #expect(zip(moments, moments.dropFirst()).allSatisfy { $1 - $0 < .milliseconds(400) })
  }

  @Test("after a stall no old connection is used until something was answered")
  func freshConnections() throws {
    let server = try FaultyServer { head in
      head.number == 2 ? .stall(afterBodyBytes: 0) : .delayed(milliseconds: 50, .receipt(for: head))
    }
    let harness = try Harness(server.url, uploadTimeout: .milliseconds(400))
    let chunk = Harness.chunk(count: 100)
    for id in 0..<2 { harness.start(.chunk(chunk), id: UInt64(id)) }
    #expect(harness.outcomes(count: 2).count == 2)
    #expect(server.connectionCount == 2)

    #expect(try harness.outcome(of: .chunk(chunk), id: 3) == .unreachable("no byte moved for 400 ms"))
    #expect(try harness.outcome(of: .chunk(chunk), id: 4) == Harness.stored(chunk))
    #expect(try harness.outcome(of: .chunk(chunk), id: 5) == Harness.stored(chunk))

    let connections = server.requests.map(\.head.connection)
    #expect(connections[3] == 2)
    #expect(server.connectionCount == 3)
  }

  @Test("cancelling in the middle of a transfer ends its connection, and nothing is reported of it")
  func cancel() throws {
    let server = try FaultyServer { head in
      head.number == 0 ? .stall(afterBodyBytes: 1_000) : .answer(.receipt(for: head))
    }
    let harness = try Harness(server.url, parallel: 1)
    let chunk = Harness.chunk()
    harness.start(.chunk(chunk), id: 1)
    #expect(harness.poll { server.requests.count == 1 })

    harness.transport.cancel(TransferID(1))

    #expect(harness.poll { server.openConnections == 0 })
    harness.start(.chunk(chunk), id: 2)
    #expect(harness.outcomes(count: 1) == [TransferID(2): Harness.stored(chunk)])
  }

  @Test("cancelling a transfer that nobody knows does nothing")
  func cancelUnknown() throws {
    let server = try FaultyServer(behave: receiver)
    let harness = try Harness(server.url)
    harness.transport.cancel(TransferID(99))
    #expect(try harness.outcome(of: .probe) == .reachable)
  }

  @Test("a deadline in the past returns at once, one in the future is waited for")
  func deadline() throws {
    let server = try FaultyServer(behave: receiver)
    let harness = try Harness(server.url)
    let start = harness.clock.now

    #expect(harness.transport.poll(until: start).isEmpty)
    #expect(harness.clock.now - start < .seconds(1))

    let deadline = harness.clock.now + .milliseconds(100)
    #expect(harness.transport.poll(until: deadline).isEmpty)
    #expect(harness.clock.now >= deadline)
  }

  @Test("waiting, for a silent server or for nothing, costs no processor time")
  func idle() throws {
    let server = try FaultyServer(script: [.stall(afterBodyBytes: 1_000)])
    let harness = try Harness(server.url)
    #expect(harness.transport.poll(until: harness.clock.now + .milliseconds(200)).isEmpty)
    harness.start(.chunk(Harness.chunk()), id: 1)
    #expect(harness.poll { server.requests.count == 1 })
    let start = harness.clock.now
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    let before = time

    while harness.clock.now - start < .milliseconds(500) {
      _ = harness.transport.poll(until: start + .milliseconds(500))
    }

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    let used = (time.tv_sec - before.tv_sec) * 1_000_000_000 + time.tv_nsec - before.tv_nsec
    #expect(used < 100_000_000)
  }

  @Test("a wake from another thread ends a wait without a deadline, also when it came before the wait")
  func wake() throws {
    let server = try FaultyServer(behave: receiver)
    let harness = try Harness(server.url)
    let wakeHandle = harness.transport.wakeHandle
    wakeHandle.wake()
    wakeHandle.wake()
    #expect(harness.transport.poll(until: nil).isEmpty)

    let waker = Worker { wakeHandle.wake() }
    #expect(harness.transport.poll(until: nil).isEmpty)
    waker.join()
  }

  @Test("wakes without a pause end few polls: news that come together are dealt with together")
  func manyWakes() throws {
    let server = try FaultyServer(behave: receiver)
    let harness = try Harness(server.url)
    let wakeHandle = harness.transport.wakeHandle
    _ = harness.transport.poll(until: harness.clock.now)
    let start = harness.clock.now
    let polls = 20
    for _ in 0..<polls {
      wakeHandle.wake()
      _ = harness.transport.poll(until: nil)
    }
    #expect(harness.clock.now - start >= .milliseconds(Int64(polls - 1) * 4))
  }

  @Test("a wake handle outlives its transport")
  func wakeAfterwards() throws {
    let server = try FaultyServer(behave: receiver)
    let wakeHandle = try Harness(server.url).transport.wakeHandle
    wakeHandle.wake()
  }

  @Test("a rate limit holds, and progress is told at most four times a second")
  func rateLimit() throws {
    let server = try FaultyServer(behave: receiver)
    let harness = try Harness(server.url)
    let chunk = Harness.chunk()
    let start = harness.clock.now
    var progress: [Int] = []
    var outcome: TransferOutcome?

    harness.start(.chunk(chunk), id: 1, bytesPerSecondMax: 500_000)
    while outcome == nil, harness.clock.now - start < .seconds(30) {
      for event in harness.transport.poll(until: start + .seconds(30)) {
        if case .progressed(TransferID(1), let bytes) = event { progress.append(bytes) }
        if case .transferred(_, let ended) = event { outcome = ended }
      }
    }

    let seconds = Double((harness.clock.now - start).nanoseconds) / 1e9
    #expect(outcome == Harness.stored(chunk))
    #expect(seconds > 1.5)
    #expect(progress == progress.sorted() && progress.count >= 2)
    #expect(Double(progress.count) <= seconds * 4 + 1)
  }
}
