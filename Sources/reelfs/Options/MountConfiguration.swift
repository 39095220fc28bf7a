import Spool
package import SyncStatus
package import UploadCore

/// All a mount needs to know, checked. Made by `MountConfigurationReader`.
package struct MountConfiguration: Sendable, Equatable {
  package enum KeepLocal: Sendable, Equatable {
    /// Stored bytes stay as long as the quota leaves room.
    case whileThereIsRoom
    /// Stored bytes stay at least for so many seconds after they were stored.
    case seconds(Double)
    /// Nothing is ever evicted.
    case all
  }

  package enum Compression: String, Sendable, CaseIterable { case none, zstd }

  package enum Notify: String, Sendable, CaseIterable { case auto, none }

  package enum SynchronizeTo: String, Sendable, CaseIterable {
    /// fsync() returns once file and journal are durable on this machine.
    case local
    /// fsync() returns once the bytes are stored at the destination.
    case remote
  }

  package var destination: Destination
  /// Where recordings go as well.
  package var also: [FurtherDestination] = []
  /// Absolute.
  package var mountpoint: String
  /// Absolute; spool and journal. Outside the mount point.
  package var stateDirectory: String
  /// Retries, timeouts, transfers at once, the rate limit, and rounds.
  package var policy = UploadPolicy()
  /// The limit by the time of day; `policy.bytesPerSecondMax` is nil then.
  package var limitSchedule: LimitSchedule?
  package var pausesOnMetered = false
  /// Commands that are run after what happens to a recording.
  package var hooks = HookCommands()
  package var heartbeatURL: String?
  /// An open recording without a write for so long counts as stalled; nil: none ever does.
  package var stallAfter: Span? = .seconds(30)
  package var notifiesDesktop = true
  /// Bytes that the spool may hold; nil: a share of the file system.
  package var spoolQuota: Int64?
  package var keepLocal = KeepLocal.whileThereIsRoom
  /// Time without a writer after which a recording counts as finished.
  package var settle = Span.seconds(1)
  /// A partial last chunk is sent after so long.
  package var maxLag = Span.seconds(10)
  package var compression = Compression.none
  /// Name of this machine in the receiver's recordings/{device}/.
  package var device: String
  /// Sent as bearer token; never shown.
  package var token: String?
  package var tokenFile: String?
  /// PEM file of the authorities that may have signed the destination's certificate; nil: the system's.
  package var caFile: String?
  package var synchronizeTo = SynchronizeTo.local
  package var fuse = FuseOptions()
  package var hidesAttributes = false
  package var hidesStatus = false
  package var propagatesDeletes = false
  package var runsAsDaemon = false
  /// Where the page is served; nil: nowhere.
  package var page: PageAddress? = .usual

  package init(destination: Destination, mountpoint: String, stateDirectory: String, device: String) {
    self.destination = destination
    self.mountpoint = mountpoint
    self.stateDirectory = stateDirectory
    self.device = device
  }
}

extension MountConfiguration {
  /// What the spool may keep on this disk.
  var quota: SpoolQuota {
    switch keepLocal {
    case .whileThereIsRoom: SpoolQuota(bytes: spoolQuota, keepSeconds: 0)
    case .seconds(let seconds): SpoolQuota(bytes: spoolQuota, keepSeconds: seconds)
    case .all: SpoolQuota(bytes: spoolQuota, keepSeconds: nil)
    }
  }
}
