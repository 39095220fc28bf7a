import HeapModule
package import UploadProtocol

/// Which session may send its next request.
///
/// Sessions wait in lanes, 0 first. Within a lane they share evenly by start-time fair queueing: each session has a
/// virtual time that advances by one a request, and the lowest goes next; who comes back from idleness continues at
/// the lane's time, so saved-up idleness buys nothing. Every operation is O(log sessions).
package struct FairQueue: Sendable {
  /// Priority (3) times recording or finished (2).
  package static let laneCount = 6
  /// Of so many requests one goes to the lower lane that has waited longest: an hour of backlog behind a busy
  /// recording still moves at an eighth of the link, and the recording keeps seven eighths.
  package static let turnsPerLowerLane: UInt64 = 8

  private struct Ticket: Comparable, Sendable {
    let virtualTime: UInt64
    /// Unique, ascending: breaks ties by arrival, and tells a ticket in force from one replaced since.
    let number: UInt64
    let session: SessionID

    static func < (left: Ticket, right: Ticket) -> Bool {
      (left.virtualTime, left.number) < (right.virtualTime, right.number)
    }
  }

  private struct Lane: Sendable {
    /// May hold replaced tickets; they are dropped when they come up.
    var tickets = Heap<Ticket>()
    var sessions = 0
    var virtualTime: UInt64 = 0
    /// Count of turns when it was last served, or began to wait.
    var waitsSince: UInt64 = 0
  }

  private struct Place: Sendable {
    /// nil: not waiting.
    var lane: Int?
    var virtualTime: UInt64 = 0
    var virtualTimeLane = -1
    var number: UInt64 = 0
  }

  private var lanes = [Lane](repeating: Lane(), count: FairQueue.laneCount)
  private var places: [SessionID: Place] = [:]
  private var turns: UInt64 = 0
  private var numbers: UInt64 = 0
  /// The lane that was served last.
  private var served: Int?

  package init() {}

  package var isEmpty: Bool { lanes.allSatisfy { $0.sessions == 0 } }

  /// Lets `session` wait in `lane`, or (nil) not at all. Nothing happens if it already does.
  package mutating func place(_ session: SessionID, in lane: Int?) {
    var place = places[session] ?? Place()
    guard place.lane != lane else { return }
    if let old = place.lane { lanes[old].sessions -= 1 }
    numbers += 1
    place.number = numbers
    place.lane = lane
    if let lane {
      // Times of different lanes have nothing to do with each other.
      let own = place.virtualTimeLane == lane ? place.virtualTime : 0
      place.virtualTime = max(own, lanes[lane].virtualTime)
      place.virtualTimeLane = lane
      if lanes[lane].sessions == 0 { lanes[lane].waitsSince = turns }
      lanes[lane].sessions += 1
      push(session, place, in: lane)
    }
    places[session] = place
  }

  package mutating func forget(_ session: SessionID) {
    place(session, in: nil)
    places[session] = nil
  }

  /// The session whose turn it is, charged for one request; it stays where it waits.
  package mutating func next() -> SessionID? {
    guard let lane = nextLane() else { return nil }
    while let ticket = lanes[lane].tickets.popMin() {
      guard var place = places[ticket.session], place.number == ticket.number else { continue }
      turns += 1
      numbers += 1
      lanes[lane].virtualTime = ticket.virtualTime
      lanes[lane].waitsSince = turns
      served = lane
      place.virtualTime = ticket.virtualTime + 1
      place.number = numbers
      places[ticket.session] = place
      push(ticket.session, place, in: lane)
      return ticket.session
    }
    preconditionFailure("a lane counts a session that has no ticket")
  }

  /// Whose turn it would be next in the lane that was served last: it may go along in the same request.
  package mutating func nextAlong() -> SessionID? {
    guard let lane = served else { return nil }
    while let ticket = lanes[lane].tickets.min {
      if places[ticket.session]?.number == ticket.number { return ticket.session }
      lanes[lane].tickets.removeMin()
    }
    return nil
  }

  /// The session that `nextAlong` gave goes along: it is charged, and waits no longer, but no turn is counted.
  package mutating func takeAlong(_ session: SessionID) {
    guard let lane = served, let place = places[session], place.lane == lane else { return }
    lanes[lane].virtualTime = place.virtualTime
    places[session]?.virtualTime = place.virtualTime + 1
    self.place(session, in: nil)
  }

  private func nextLane() -> Int? {
    guard let best = lanes.firstIndex(where: { $0.sessions > 0 }) else { return nil }
    guard (turns + 1) % Self.turnsPerLowerLane == 0 else { return best }
    let lower = lanes.indices.filter { $0 > best && lanes[$0].sessions > 0 }
    return lower.min { (lanes[$0].waitsSince, $0) < (lanes[$1].waitsSince, $1) } ?? best
  }

  private mutating func push(_ session: SessionID, _ place: Place, in lane: Int) {
    lanes[lane].tickets.insert(Ticket(virtualTime: place.virtualTime, number: place.number, session: session))
    // At least half of the tickets are in force, so memory follows the number of waiting sessions.
    guard lanes[lane].tickets.count > 2 * lanes[lane].sessions + 64 else { return }
    let inForce = lanes[lane].tickets.unordered.filter { $0.number == places[$0.session]?.number || $0.number == place.number }
    lanes[lane].tickets = Heap(inForce)
  }
}
