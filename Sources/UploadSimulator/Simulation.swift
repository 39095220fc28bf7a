import UploadCore

/// One seed from beginning to end: a time of faults, then a time of peace in which everything has to settle.
public struct Simulation {
  public struct Report: Sendable {
    public let seed: UInt64
    /// nil: every invariant held.
    public let violation: String?
    public let steps: Int
    public let digest: UInt64
    /// The last events, when asked for.
    public let lines: [String]
  }

  /// Turns of one seed: ten times what the busiest ones take. More is a loop that gets nowhere.
  static let turnsMax = 50_000
  /// How long peace may take to settle everything, and the oldest byte at most waits: the interval in which a blocked
  /// destination is looked at (900 s), and five minutes for delays that the faults have left behind.
  static let settleMax = Span.seconds(1_200)

  /// - Parameter kind: of the destination; nil: as the seed has it.
  public static func run(seed: UInt64, kind: DestinationKind? = nil, isTraced: Bool = false) -> Report {
    let world = SimulatedWorld(seed: seed, kind: kind ?? DestinationKind(seed: seed), isTraced: isTraced)
    var loop = makeLoop(world)
    var turns = 0

    while world.actionsLeft > 0, turn(&loop, world, &turns) {}
    world.heal()
    // Recorders go on for a while: nothing may starve behind what they rewrite.
    while world.actionsLeft > 0, turn(&loop, world, &turns) {
      _ = world.releaseRefused()
      world.checker.checkAges(world, longest: settleMax)
    }
    world.closeAll()
    // A slow link still carries what was sent before the peace.
    let closed = max(world.now, world.linkFreeAt)
    while Checker.unsettled(world) != nil || !world.active.isEmpty, turn(&loop, world, &turns) {
      let isReleased = world.releaseRefused()
      guard world.now > closed + settleMax || (world.checker.sleptForEver && !isReleased) else { continue }
      world.checker.fail("I6", "not settled: \(Checker.unsettled(world) ?? "a request hangs")")
    }
    // Settled: from now on nothing is left to do, at any time.
    var rest = 0
    world.checker.sleptForEver = false
    while !world.checker.sleptForEver, turn(&loop, world, &turns) {
      rest += 1
      if rest > 1_000 { world.checker.fail("I4", "1,000 turns after everything was done") }
    }
    if let text = Checker.unsettled(world) { world.checker.fail("I1", text) }
    return Report(
      seed: seed, violation: world.checker.violation, steps: world.trace.steps, digest: world.trace.digest,
      lines: world.trace.lines)
  }

  /// - Returns: whether to go on.
  private static func turn(_ loop: inout SimulatedLoop, _ world: SimulatedWorld, _ turns: inout Int) -> Bool {
    loop.turn()
    turns += 1
    if turns > turnsMax { world.checker.fail("I4", "\(turns) turns") }
    let wasDead = world.isDead
    if wasDead {
      world.restart()
      world.checker.restarted(at: world.now)
      loop = makeLoop(world)
    }
    // Long recordings are looked at less often: every chunk of them is.
    if !wasDead, world.weights.chunksMax < 64 || turns % 16 == 0 { world.checker.checkQueue(of: loop.scheduler, world) }
    world.checker.checkDelays(of: loop.scheduler, world.sessions, policy: world.policy, at: world.now)
    return world.checker.violation == nil
  }

  typealias SimulatedLoop = UploadLoop<
    SimulatedClock, SimulatedPorts, SimulatedPorts, SimulatedPorts, SimulatedPorts, SimulatedPorts
  >

  private static func makeLoop(_ world: SimulatedWorld) -> SimulatedLoop {
    let ports = SimulatedPorts(world: world)
    return SimulatedLoop(
      scheduler: UploadScheduler(policy: world.policy, generator: SplitMix64(seed: world.generator.next())),
      clock: world.clock, journal: ports, source: ports, transport: ports, inbox: ports, sink: ports)
  }
}
