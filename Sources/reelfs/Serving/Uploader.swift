import CurlTransport
import Foundation
import Glibc
import RecordingFS
import Spool
import SyncStatus
import Synchronization
import SystemPackage
import UploadCore
import UploadProtocol

/// Spool, status and the uploads of one mount: one `DestinationUploader` for each destination. The first one's thread also
/// runs recovery, and records what recorders do.
final class Uploader: Sendable {
  let spool: Spool
  let statusTree: StatusTree
  private let reader: StatusReader
  private let log: EventLog
  private let digests: BackgroundDigests
  /// The first one first.
  private let destinations: [DestinationUploader]
  /// Of the others.
  private let feeds: [CopyFeed]
  private let steward: Steward
  private let hooks: Hooks
  private let heartbeat: Heartbeat
  private let desktop = DesktopNotices()
  private let configuration: Mutex<MountConfiguration>

  init(_ configuration: MountConfiguration, state: StateDirectory, baseURL: String) throws {
    self.configuration = Mutex(configuration)
    let count = 1 + configuration.also.count
    func uploader(_ name: String, _ route: Route, at place: Int) -> DestinationUploader {
      var policy = configuration.policy
      policy.bytesPerSecondMax = Self.share(of: policy.bytesPerSecondMax, at: place, count)
      return DestinationUploader(name: name, route: route, policy: policy)
    }
    let first = uploader(baseURL, try Route(configuration, state: state, baseURL: baseURL), at: 0)
    let others = try configuration.also.enumerated().map { place, further in
      uploader(further.destination.description, try Route(further, configuration, state: state), at: place + 1)
    }
    let destinations = [first] + others
    self.destinations = destinations
    let (journal, notice) = try Journal.openOrBegin(path: state.journal.string)
    if let notice { Terminal.complain(notice) }
    if let before = journal.firstDestination, before != configuration.destination.description {
      Terminal.complain(
        "these recordings went to \(before) until now, and what that confirmed counts as safe; is "
          + "\(configuration.destination.description) not the same store, unmount and use another --state-dir "
          + "(reelfs verify asks it for everything)")
    }
    let copies = try journal.useCopies(
      others.map { ($0.name, $0.route.evictionRule) }, first: configuration.destination.description)
    let feeds = zip(others, copies).map { other, copy in
      CopyFeed(journal: copy, plansRuns: other.policy.geometry != .chunks, wake: { other.waker.wake() })
    }
    self.feeds = feeds
    var seal = SealPolicy()
    seal.maxLag = configuration.maxLag
    var quota = configuration.quota
    quota.rule = Self.evictionRule(destinations.map(\.route.evictionRule))
    let spool = Spool(
      tree: try SpoolTree(recordings: state.recordings, orphans: state.orphans),
      journal: journal, clock: SystemClock(), sealPolicy: seal,
      settleTime: configuration.settle, quota: quota, plansRuns: first.policy.geometry != .chunks,
      wholeBytesMax: destinations.map(\.policy.wholeBytesMax).max() ?? 0, feeds: feeds,
      isStoring: { StatusBoard.areStoring(destinations.map(\.board)) },
      needsRoom: {
        // What is stored can be given up: the round that would do so is held now.
        for destination in destinations where destination.board.isBetweenRounds {
          destination.post(.control(.processUploads(nil, force: false)))
        }
      },
      fetchChunk: Self.fetcher(destinations, [journal] + copies), wake: { first.waker.wake() })
    self.spool = spool
    digests = BackgroundDigests(spool: spool)
    reader = StatusReader(
      spool: spool,
      destinations: zip(destinations, [nil] + copies).map { ReportedDestination(name: $0.name, board: $0.board, copy: $1) })
    steward = Steward(Steward.Settings(configuration), spool: spool, board: first.board) { event in
      if case .control(.limit) = event { journal.remember(nil) }
      Self.post(event, to: destinations)
    }
    hooks = Hooks(journal: journal, mountpoint: configuration.mountpoint, destination: baseURL)
    heartbeat = Heartbeat(reader: reader)
    log = try EventLog(path: state.path.appending("events.jsonl"))
    let supervisor = getppid()
    statusTree = StatusTree(
      spool: spool, reader: reader, events: log.path,
      control: ControlFile(
        spool: spool,
        post: { event in
          if case .control(.limit(let rate)) = event { journal.remember(Journal.LimitByHand(bytesPerSecond: rate)) }
          Self.post(event, to: destinations)
        }, restart: { kill(supervisor, SIGUSR2) }),
      mountRecord: MountRecord(configuration, destination: baseURL).json,
      isListed: !configuration.hidesStatus, hidesAttributes: configuration.hidesAttributes)
  }

  /// Goes on with other settings; those that cannot change are what they were (`ConfigurationChange`). Any thread.
  func adopt(_ configuration: MountConfiguration) {
    let limit = self.configuration.withLock { old in
      defer { old = configuration }
      return old.policy.bytesPerSecondMax
    }
    if limit != configuration.policy.bytesPerSecondMax { spool.journal.remember(nil) }
    for (place, destination) in destinations.enumerated() {
      var policy = configuration.policy
      policy.bytesPerSecondMax = Self.share(of: policy.bytesPerSecondMax, at: place, destinations.count)
      destination.post(.control(.adopt(policy)))
    }
    steward.adopt(Steward.Settings(configuration))
    adoptAlarms(configuration)
    var seal = spool.sealPolicy
    seal.maxLag = configuration.maxLag
    spool.adopt(seal, settleTime: configuration.settle, quota: configuration.quota)
    destinations.forEach { $0.waker.wake() }
  }

  private func adoptAlarms(_ configuration: MountConfiguration) {
    do throws(JournalError) { try hooks.adopt(configuration.hooks) } catch {
      Terminal.complain("commands after events are as they were, for the journal cannot be written: \(error.message)")
    }
    heartbeat.adopt(configuration.heartbeatURL)
  }

  /// What has happened, for those who are not at the terminal. On an uploader's thread.
  private func alarm(_ notice: UploadNotice) {
    switch notice {
    case .sessionUploadComplete, .uploadError: hooks.wake()
    default: break
    }
    guard configuration.withLock({ $0.notifiesDesktop }), DesktopNotices.isThere else { return }
    if let notice = Notices.desktop(notice, reader) { desktop.add(notice) }
  }

  /// Starts the uploader threads; recovery is the first one's first task, while the mount is already served.
  /// - Parameter worker: the mount has been served by so many workers, this one too.
  func start(asWorker worker: UInt64) {
    destinations[0].board.served(by: Int64(clamping: worker))
    spool.regainLengths()
    // Before the first turn: nothing is sent faster than the schedule or somebody allows, and no event is missed. Before
    // anybody can command: who resumes now ends the pause.
    if spool.journal.isPausedByUser { Self.post(.control(.pauseAll), to: destinations) }
    let limit = worker > 1 ? spool.journal.limitByHand : nil
    steward.start()
    spool.journal.remember(limit)
    if let limit { Self.post(.control(.limit(bytesPerSecond: limit.bytesPerSecond)), to: destinations) }
    adoptAlarms(configuration.withLock { $0 })
    destinations[0].start(thread: "reelfs-upload") { [self] in try uploadFirst() }
    spool.start()
  }

  /// Whether every loop still turns. Wakes them, so that they can show so by the next time; from any thread.
  func isAlive() -> Bool { destinations.map { $0.isAlive() }.allSatisfy { $0 } }

  /// Ends what is in flight and leaves a journal that says everything a next start needs.
  /// - Returns: the mount as it was left.
  func stop() -> OverallStatus {
    steward.stop()
    hooks.stop()
    heartbeat.stop()
    desktop.stop()
    digests.stop()
    spool.settleAll()
    destinations.forEach { $0.stop() }
    destinations.forEach { $0.waitUntilEnded() }
    let left = reader.overall()
    spool.stop()
    spool.journal.close(isSynced: spool.synchronize())
    return left
  }

  // MARK: On the uploaders' threads

  private func uploadFirst() throws {
    let watcher = try? NetworkWatcher { [destinations] in destinations.forEach { $0.post(.networkChanged) } }
    defer { watcher?.stop() }
    var recovery = Recovery(spool: spool)
    let restored = try recovery.run()
    if recovery.report.recordings > 0 { Terminal.say(recovery.report.description) }
    for (place, (other, feed)) in zip(destinations.dropFirst(), feeds).enumerated() {
      other.start(thread: "reelfs-upload-\(place + 2)") { [self] in
        try other.upload(
          spool, feed.journal, try CopyInbox(spool: spool, feed: feed, controls: other.controls), publisher(other))
      }
    }
    spool.journal.uncheckedSessions.sorted().forEach(digests.add(unchecked:))
    recovery.forgotten.forEach(digests.add(forgotten:))
    // A thousand at a start; the rest at the next.
    for session in (try? spool.journal.withoutSHA256(max: 1_000)) ?? [] { digests.add(synced: session) }
    let first = destinations[0]
    var foreground = ForegroundProgress()
    try first.upload(
      spool, spool.journal, SpoolInbox(spool: spool, controls: first.controls, restored: restored), publisher(first),
      onListed: { [spool] in spool.learn($0, $1) },
      afterTurn: {
        spool.journal.checkpointIfLarge()
        foreground?.turned { reader.overall() }
      })
  }

  /// What an uploader says, as people are told of it.
  private func publisher(_ destination: DestinationUploader) -> StatusPublisher {
    let isFirst = destination === destinations[0]
    let name = destinations.count > 1 ? destination.name : nil
    return StatusPublisher(
      board: destination.board, log: log, reader: reader, destination: name,
      isTold: { [spool, digests] notice in
        switch notice {
        case .sessionRegistered: return isFirst
        case .sessionUploadComplete(let session):
          if isFirst { digests.add(synced: session) }
          // A journal that cannot say so now: better twice than never.
          return (try? spool.journal.claimCompletion(of: session)) ?? true
        default: return true
        }
      },
      onNotice: { [self] notice in
        Notices.tell(notice, reader, of: name)
        alarm(notice)
      })
  }
}

// What several destinations have in common.
extension Uploader {
  /// To whom it concerns. What the journal keeps of a session (its priority, that it is held) reaches further destinations
  /// once the first one's uploader has recorded it.
  private static func post(_ event: UploadEvent, to destinations: [DestinationUploader]) {
    switch event {
    case .control(.hold), .control(.prioritize), .stalled: destinations[0].post(event)
    case .control(.limit(let rate)):
      for (place, destination) in destinations.enumerated() {
        destination.post(.control(.limit(bytesPerSecond: share(of: rate, at: place, destinations.count))))
      }
    default: destinations.forEach { $0.post(event) }
    }
  }

  /// The mount's rate limit, shared equally, whether the others use theirs or not.
  static func share(of bytesPerSecond: Int?, at place: Int, _ count: Int) -> Int? {
    bytesPerSecond.map { max(1, $0 / count + (place < $0 % count ? 1 : 0)) }
  }

  /// When the first destination's copy lets local bytes go. Where that one never gives bytes back, but another does, it is
  /// enough that it has the recording as a whole.
  static func evictionRule(_ rules: [EvictionRule]) -> EvictionRule {
    guard rules.contains(where: { $0 != .never }) else { return .never }
    return rules[0] == .never ? .synced : rules[0]
  }

  /// Asks the destinations that give bytes back one after the other, those first that are not known to be away.
  private static func fetcher(
    _ destinations: [DestinationUploader], _ journals: [any DestinationJournal]
  ) -> @Sendable (ChunkID) throws -> [UInt8] {
    let fetchers = zip(destinations, journals).filter { destination, _ in destination.route.evictionRule != .never }.map {
      destination, journal in
      (
        board: destination.board,
        fetch: destination.route.fetcher(
          stallTimeout: destination.policy.uploadTimeout, remote: { try journal.remoteFacts(of: $0) })
      )
    }
    return { chunk in
      var failure: any Error = SpoolError.missing
      for fetcher in fetchers.filter(\.board.isOnline) + fetchers.filter({ !$0.board.isOnline }) {
        do { return try fetcher.fetch(chunk) } catch {
          // Nobody knows that it is missing while somebody could not be asked.
          if failure as? SpoolError == .missing { failure = error }
        }
      }
      throw failure
    }
  }
}
