import UploadCore
import UploadProtocol

/// A scheduler with a clock of its own, for tests: remembers what it asked for.
struct SchedulerHarness {
  var scheduler: UploadScheduler
  var now = Instant(nanoseconds: 0)
  /// What the last `tell` asked for.
  var effects: [UploadEffect] = []

  init(seed: UInt64 = 1, _ configure: (inout UploadPolicy) -> Void = { _ in }) {
    var policy = UploadPolicy()
    configure(&policy)
    scheduler = UploadScheduler(policy: policy, generator: SplitMix64(seed: seed))
  }

  @discardableResult
  mutating func tell(_ event: UploadEvent) -> [UploadEffect] {
    effects = scheduler.handle(event, at: now)
    // The journal of these tests always works.
    scheduler.forgetSettled()
    return effects
  }

  @discardableResult
  mutating func pass(_ span: Span) -> [UploadEffect] {
    now = now + span
    return tell(.timePassed)
  }

  @discardableResult
  mutating func end(_ transfer: Transfer, _ outcome: TransferOutcome) -> [UploadEffect] {
    tell(.transferred(transfer.id, outcome))
  }

  /// Stores whatever chunk `transfer` carries.
  @discardableResult
  mutating func store(_ transfer: Transfer) -> [UploadEffect] {
    end(transfer, .stored(.first, digest(1), bytes: ChunkLayout.chunkBytes))
  }

  /// A session that is announced and has `pending` to send; nothing of it started yet.
  @discardableResult
  mutating func restore(
    _ number: Int64, pending: [Range<Int>], isFinished: Bool = false, isAnnounced: Bool = true,
    priority: UploadPriority = .normal
  ) -> SessionID {
    let id = session(number)
    tell(
      .restored(
        id,
        RestoredSession(
          facts: facts(id), pending: pending, isAnnounced: isAnnounced, isFinished: isFinished, isSynced: false,
          failure: nil, priority: priority, isHeld: false)))
    return id
  }

  /// Opens the window to `policy.parallel` by storing chunks of a session of its own.
  mutating func warmUp() {
    let id = restore(999_999, pending: [0..<8])
    var waiting = starts(effects)
    while let transfer = waiting.first {
      waiting.removeFirst()
      waiting += starts(store(transfer))
    }
    tell(.removed(id))
  }
}

func session(_ number: Int64) -> SessionID { SessionID(number: number) }
func chunk(_ number: Int64, _ index: Int) -> ChunkID { ChunkID(session(number), index) }
func facts(_ session: SessionID, _ name: String = "take.wav") -> SessionFacts {
  SessionFacts(path: Array(name.utf8), inode: UInt64(session.number) + 10)
}
func digest(_ number: UInt8) -> ChunkDigest {
  ChunkDigest(bytes: [UInt8](repeating: number, count: 32)) ?? { preconditionFailure("32 bytes") }()
}

func starts(_ effects: [UploadEffect]) -> [Transfer] {
  effects.compactMap { if case .start(let transfer) = $0 { transfer } else { nil } }
}
func cancels(_ effects: [UploadEffect]) -> [TransferID] {
  effects.compactMap { if case .cancel(let id) = $0 { id } else { nil } }
}
func records(_ effects: [UploadEffect]) -> [JournalFact] {
  effects.compactMap { if case .record(let fact) = $0 { fact } else { nil } }
}
func notices(_ effects: [UploadEffect]) -> [UploadNotice] {
  effects.compactMap { if case .announce(let notice) = $0 { notice } else { nil } }
}
