import Fuse
import Testing

@Suite struct RequestLedgerTests {
  private func new(_ unique: UInt64) -> RequestHeader { RequestHeader(opcode: 9, unique: unique, wasResent: false) }
  private func again(_ unique: UInt64) -> RequestHeader { RequestHeader(opcode: 9, unique: unique, wasResent: true) }

  /// The ledger as the next worker finds it.
  private func successor(_ state: SharedState) throws -> SharedState { try SharedState(descriptor: state.descriptor) }

  @Test("a request begun by a worker that died may have run, and its memory is kept")
  func begun() throws {
    let state = try SharedState.create()
    let slot = state.ledger.beginLife(threads: 1)[0]
    let begun = state.ledger.begin(new(10), own: slot)
    let context = RequestContext(
      userID: 0, groupID: 0, processID: 0, umask: 0, mayHaveRun: false, memory: 0, unique: 10, slot: begun.slot)
    context.remember(77)

    let next = try successor(state)
    let own = next.ledger.beginLife(threads: 1)[0]
    let found = next.ledger.begin(again(10), own: own)

    #expect(found.mayHaveRun)
    #expect(found.finished == nil)
    #expect(found.slot?.memory.value == 77)
  }

  @Test("a request finished by a worker that died tells its outcome")
  func finished() throws {
    let state = try SharedState.create()
    let slot = state.ledger.beginLife(threads: 1)[0]
    let outcome = RequestLedger.Outcome(errno: 17, handle: 5, isDirect: true, keepsCache: false)
    state.ledger.begin(new(10), own: slot).slot?.finish(outcome)

    let next = try successor(state)
    let own = next.ledger.beginLife(threads: 1)[0]

    #expect(next.ledger.begin(again(10), own: own).finished == outcome)
  }

  @Test("a request that no worker had begun has not run, though it was handed out before")
  func unknown() throws {
    let state = try SharedState.create()
    _ = state.ledger.beginLife(threads: 2)
    let next = try successor(state)
    let own = next.ledger.beginLife(threads: 2)[0]
    #expect(!next.ledger.begin(again(12), own: own).mayHaveRun)
  }

  @Test("an answered request leaves no trace")
  func answered() throws {
    let state = try SharedState.create()
    let slot = state.ledger.beginLife(threads: 1)[0]
    state.ledger.begin(new(10), own: slot).slot?.leave()
    let next = try successor(state)
    _ = next.ledger.beginLife(threads: 1)
    #expect(next.ledger.abandoned() == [])
  }

  @Test("what a worker began survives two deaths of its successors")
  func twoDeaths() throws {
    let state = try SharedState.create()
    _ = state.ledger.begin(new(10), own: state.ledger.beginLife(threads: 1)[0])
    let second = try successor(state)
    _ = second.ledger.begin(new(20), own: second.ledger.beginLife(threads: 1)[0])

    let third = try successor(state)
    let own = third.ledger.beginLife(threads: 1)[0]

    #expect(third.ledger.begin(again(10), own: own).mayHaveRun)
    #expect(third.ledger.begin(again(20), own: own).mayHaveRun)
  }

  @Test("slots of earlier lives are emptied only when every thread has seen a new request")
  func emptied() throws {
    let state = try SharedState.create()
    let slots = state.ledger.beginLife(threads: 2)
    for (index, slot) in slots.enumerated() { _ = state.ledger.begin(new(UInt64(10 + index)), own: slot) }
    let next = try successor(state)
    let own = next.ledger.beginLife(threads: 2)
    for _ in own { next.ledger.threadWillReceive() }
    // One of them is in hand again, the other was never handed out again (its caller was killed).
    let inHand = next.ledger.begin(again(10), own: own[0])

    #expect(next.ledger.threadHasSeenNewRequest() == [])
    #expect(next.ledger.abandoned() == [11])
    #expect(next.ledger.threadHasSeenNewRequest() == [RequestLedger.Orphan(unique: 11, opcode: 9)])

    #expect(next.ledger.abandoned() == [])
    let last = try successor(next)
    let ownOfLast = last.ledger.beginLife(threads: 2)[0]
    #expect(last.ledger.begin(again(10), own: ownOfLast).mayHaveRun, "in hand when its worker died")
    #expect(inHand.mayHaveRun)
  }

  @Test("a thread that had old requests only and rests keeps no slot of an earlier life, but not before a new request was seen")
  func rested() throws {
    let state = try SharedState.create()
    let first = state.ledger.beginLife(threads: 2)
    _ = state.ledger.begin(new(10), own: first[0])
    _ = state.ledger.begin(new(11), own: first[1])
    let next = try successor(state)
    _ = next.ledger.beginLife(threads: 2)

    next.ledger.threadWillReceive()
    #expect(next.ledger.threadRests() == [], "both may still be handed out again")
    #expect(next.ledger.abandoned() == [10, 11])
    for _ in 0..<2 { next.ledger.threadWillReceive() }
    #expect(next.ledger.threadHasSeenNewRequest() == [], "the other thread may have one in hand")
    #expect(next.ledger.threadRests().map(\.unique) == [10, 11])
    #expect(next.ledger.abandoned() == [])
  }

  @Test("a request is refused after three crashes in it, and its slot's next request is not")
  func poisoned() throws {
    let state = try SharedState.create()
    let first = state.ledger.beginLife(threads: 1)[0]
    _ = state.ledger.begin(new(10), own: first)
    for crash in 1...RequestLedger.crashesMax {
      let next = try successor(state)
      let own = next.ledger.beginLife(threads: 1)[0]
      // What the crash of its thread does.
      try #require(first).crashes.value += 1
      #expect(next.ledger.begin(again(10), own: own).isPoisoned == (crash == RequestLedger.crashesMax))
    }
    try #require(first).leave()
    #expect(!state.ledger.begin(new(11), own: first).isPoisoned)
    #expect(!state.ledger.begin(again(11), own: nil).isPoisoned)
  }

  @Test("what was finished but surely not answered is taken back when nobody asks again; what may be answered is not")
  func unanswered() throws {
    let state = try SharedState.create()
    let slots = state.ledger.beginLife(threads: 3)
    let outcome = RequestLedger.Outcome(errno: 0, handle: 5)
    state.ledger.begin(new(10), own: slots[0]).slot?.finish(outcome)
    let answering = state.ledger.begin(new(11), own: slots[1]).slot
    answering?.finish(outcome)
    answering?.answering.value = 1
    // Openings of folders have no outcome, and answers all the same.
    state.ledger.begin(new(12), own: slots[2]).slot?.answering.value = 1

    let next = try successor(state)
    _ = next.ledger.beginLife(threads: 1)
    next.ledger.threadWillReceive()
    #expect(next.ledger.threadHasSeenNewRequest() == [RequestLedger.Orphan(unique: 10, opcode: 9)])
  }

  @Test("when deaths have filled the ledger, an unknown request handed out again counts as begun")
  func overflow() throws {
    let state = try SharedState.create()
    let threads = 8
    for life in 0...UInt64(RequestLedger.capacity / threads) {
      let slots = try successor(state).ledger.beginLife(threads: threads)
      for (index, slot) in slots.enumerated() {
        _ = state.ledger.begin(new(life * 100 + UInt64(index) + 2), own: slot)
      }
    }
    let next = try successor(state)
    let own = next.ledger.beginLife(threads: threads)[0]
    #expect(own == nil)
    #expect(next.ledger.begin(again(999_999), own: own).mayHaveRun)
  }
}
