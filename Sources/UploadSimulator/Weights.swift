import UploadCore
import UploadProtocol

/// What may happen in one seed, and how often: each seed enables a random half of everything ("swarm"), so that rare
/// combinations are not drowned in the common ones.
struct Weights {
  enum Action: Int, CaseIterable {
    // Recorders. The first two and `close` are always enabled.
    case create, append, rewrite, truncate, close, reopen, rename, delete, retag
    // Other threads of the mount.
    case read, evict, sync
    // People.
    case pause, resume, hold, release, prioritize, limit, process, force
    // The network and the receiver.
    case networkChanged, partition, receiverCrash, receiverPowerCut, receiverStorm, receiverFull, receiverForgets
    // This machine.
    case kill, killSoon, killStorm, powerCut, journalFails, diskFull, diskFails, clockJump, suspend
  }

  /// What becomes of one request.
  enum Fate: Int, CaseIterable {
    case lostBefore, lostAfter, hangsBefore, hangsAfter, stalls, duplicated, answeredTwice, garbage, slow
    case failing, busy, refused, corrupted, unauthorized, full, unreadable
  }

  private(set) var actions: [(action: Action, weight: Int)] = []
  private(set) var fates: [(fate: Fate, weight: Int)] = []
  /// Of a hundred requests so many meet a fate.
  let faultPercent: Int
  /// Of a hundred port calls so many let a recorder act in between, as another thread would.
  let interleavePercent: Int
  let actionsMax: Int
  /// Recorders go on for so many actions after the faults have stopped.
  let peacefulActionsMax: Int
  /// Between two actions.
  let pauseMax: Span
  let latencyMax: Span
  /// Out of touch for so long at most.
  let outageMax: Span
  /// What the uplink carries, all requests together; nil: more than anybody sends.
  let bytesPerSecond: Int?
  /// Recordings at once, and the longest of them: most seeds are small and quick, some have many, some long ones.
  let filesMax: Int
  let chunksMax: Int

  init(using generator: inout SplitMix64) {
    let scale = Int.random(in: 0..<100, using: &generator)
    switch scale {
    case 0..<2: (filesMax, chunksMax) = (2, 600)
    case 2..<8: (filesMax, chunksMax) = (4, 64)
    case 8..<11: (filesMax, chunksMax) = (60, 4)
    default: (filesMax, chunksMax) = (4, 8)
    }
    for action in Action.allCases {
      let isBasic = action == .create || action == .append || action == .close
      guard isBasic || Bool.random(using: &generator) else { continue }
      let weight = Int.random(in: 1...100, using: &generator)
      actions.append((action, Self.isDrastic(action) ? 1 + weight / 8 : isBasic ? 60 + weight : weight))
    }
    if filesMax > 4 { actions.append((.create, 300)) }
    // What is too rare together by chance, just before the power goes.
    switch Int.random(in: 0..<10, using: &generator) {
    // Evicted bytes are fetched, or changed.
    case 0, 1: actions += [(.evict, 150), (.read, 100), (.rewrite, 150), (.truncate, 60), (.reopen, 60), (.powerCut, 30)]
    // They are cut off and recorded anew, while nothing makes the journal durable meanwhile.
    case 2:
      actions.removeAll { $0.action == .read || $0.action == .sync || $0.action == .rewrite }
      actions += [(.evict, 100), (.truncate, 150), (.append, 500), (.powerCut, 60)]
    // The journal is full while somebody pauses, the destination refuses us, or what was closed goes on.
    case 3: actions += [(.journalFails, 60), (.append, 200), (.close, 60), (.reopen, 100), (.pause, 20), (.resume, 40)]
    // What was closed goes on and is closed again, while its end is on its way.
    case 4: actions += [(.append, 300), (.close, 150), (.reopen, 150)]
    default: break
    }
    for fate in Fate.allCases where Bool.random(using: &generator) {
      fates.append((fate, Int.random(in: 1...100, using: &generator)))
    }
    faultPercent = fates.isEmpty ? 0 : [0, 2, 10, 40][Int.random(in: 0..<4, using: &generator)]
    interleavePercent = [0, 2, 20][Int.random(in: 0..<3, using: &generator)]
    actionsMax = Int.random(in: 10...60, using: &generator) + (filesMax > 4 ? filesMax : 0)
    peacefulActionsMax = [0, 0, 30][Int.random(in: 0..<3, using: &generator)]
    pauseMax = [.milliseconds(20), .seconds(2), .seconds(40)][Int.random(in: 0..<3, using: &generator)]
    latencyMax = [.milliseconds(5), .milliseconds(500), .seconds(20)][Int.random(in: 0..<3, using: &generator)]
    outageMax = [.seconds(1), .seconds(30), .seconds(600)][Int.random(in: 0..<3, using: &generator)]
    bytesPerSecond = [nil, nil, 2_000_000, 60_000][Int.random(in: 0..<4, using: &generator)]
  }

  private static func isDrastic(_ action: Action) -> Bool {
    switch action {
    case .receiverStorm, .receiverFull, .receiverForgets, .kill, .killSoon, .killStorm, .powerCut, .journalFails, .diskFull,
      .clockJump, .suspend, .pause:
      true
    default: false
    }
  }
}

extension SplitMix64 {
  mutating func percent(_ chance: Int) -> Bool { Int.random(in: 0..<100, using: &self) < chance }

  mutating func span(upTo longest: Span) -> Span {
    Span(nanoseconds: Int64.random(in: 0...longest.nanoseconds, using: &self))
  }

  mutating func element<Element>(of elements: [Element]) -> Element? {
    elements.isEmpty ? nil : elements[Int.random(in: 0..<elements.count, using: &self)]
  }

  mutating func weighted<Choice>(_ choices: [(Choice, Int)]) -> Choice? {
    let total = choices.reduce(0) { $0 + $1.1 }
    guard total > 0 else { return nil }
    var rest = Int.random(in: 0..<total, using: &self)
    for (choice, weight) in choices {
      if rest < weight { return choice }
      rest -= weight
    }
    return nil
  }
}
