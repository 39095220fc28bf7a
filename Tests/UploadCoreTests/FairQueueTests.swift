import Testing
import UploadCore
import UploadProtocol

@Suite("Fair queue")
struct FairQueueTests {
  @Test("sessions of one lane take turns")
  func sessionsTakeTurns() {
    var queue = FairQueue()
    for number in 1...3 { queue.place(session(Int64(number)), in: 2) }

    let order = (0..<6).compactMap { _ in queue.next()?.number }

    #expect(order == [1, 2, 3, 1, 2, 3])
  }

  @Test("who comes back from idleness has saved up nothing")
  func idlenessSavesNothing() {
    var queue = FairQueue()
    queue.place(session(1), in: 2)
    queue.place(session(2), in: 2)
    queue.place(session(2), in: nil)
    for _ in 0..<100 { _ = queue.next() }

    queue.place(session(2), in: 2)
    let order = (0..<6).compactMap { _ in queue.next()?.number }

    #expect(order.filter { $0 == 2 }.count == 3)
  }

  @Test("a lower lane gets one turn in eight, and not less")
  func lowerLanesDoNotStarve() {
    var queue = FairQueue()
    queue.place(session(1), in: 0)
    queue.place(session(2), in: 3)
    queue.place(session(3), in: 5)

    let order = (0..<64).compactMap { _ in queue.next()?.number }

    #expect(order.filter { $0 == 1 }.count == 56)
    #expect(order.filter { $0 == 2 }.count == 4)
    #expect(order.filter { $0 == 3 }.count == 4)
  }

  @Test("a session that moves to another lane starts there without debt")
  func movingLanesStartsAnew() {
    var queue = FairQueue()
    queue.place(session(1), in: 2)
    for _ in 0..<50 { _ = queue.next() }
    queue.place(session(2), in: 3)
    queue.place(session(1), in: 3)

    let order = (0..<4).compactMap { _ in queue.next()?.number }

    #expect(order == [2, 1, 2, 1])
  }

  @Test("who goes along with another waits no longer, and others of the lane go before it comes again")
  func goingAlong() {
    var queue = FairQueue()
    for number in Int64(1)...4 { queue.place(session(number), in: 2) }
    #expect(queue.nextAlong() == nil)
    #expect(queue.next() == session(1))
    queue.place(session(1), in: nil)

    #expect(queue.nextAlong() == session(2))
    queue.takeAlong(session(2))
    #expect(queue.nextAlong() == session(3))
    queue.place(session(2), in: 2)

    #expect((0..<3).map { _ in queue.next() } == [session(3), session(4), session(2)])
  }

  @Test("does what a walk through all sessions would", arguments: 0..<20)
  func onlyWaitingSessionsAreServed(seed: UInt64) {
    var generator = SplitMix64(seed: seed)
    var queue = FairQueue()
    var waiting: [Int64: Int] = [:]

    for _ in 0..<2_000 {
      let number = Int64.random(in: 1...12, using: &generator)
      switch Int.random(in: 0..<4, using: &generator) {
      case 0:
        let lane = Int.random(in: 0..<FairQueue.laneCount, using: &generator)
        queue.place(session(number), in: lane)
        waiting[number] = lane
      case 1:
        queue.place(session(number), in: nil)
        waiting[number] = nil
      case 2:
        queue.forget(session(number))
        waiting[number] = nil
      default:
        let next = queue.next()
        #expect((next == nil) == waiting.isEmpty)
        if let next { #expect(waiting[next.number] != nil) }
        // Somebody of the same lane may go along, and waits no longer.
        guard let next, let along = queue.nextAlong(), Bool.random(using: &generator) else { break }
        #expect(waiting[along.number] == waiting[next.number])
        queue.takeAlong(along)
        waiting[along.number] = nil
      }
      #expect(queue.isEmpty == waiting.isEmpty)
    }
  }
}
