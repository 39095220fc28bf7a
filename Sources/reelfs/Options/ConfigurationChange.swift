import Spool
import SyncStatus
import UploadCore

/// What of a changed configuration a running mount takes, and what waits for the next one.
package struct ConfigurationChange: Equatable {
  /// Settings that differ and take effect at once, by name.
  package private(set) var now: [String] = []
  /// Settings that differ and stay as they were.
  package private(set) var later: [String] = []
  /// What the mount goes on with.
  package private(set) var result: MountConfiguration

  package var isNothing: Bool { now.isEmpty && later.isEmpty }

  /// One sentence each; nothing without a change.
  package var sentences: [String] {
    var sentences: [String] = []
    if !now.isEmpty { sentences.append("settings changed: \(now.joined(separator: ", "))") }
    if !later.isEmpty { sentences.append("takes effect at the next mount: \(later.joined(separator: ", "))") }
    return sentences
  }

  /// - Parameters:
  ///   - old: what the mount runs with.
  ///   - new: what flags, variables and file say now.
  package init(from old: MountConfiguration, to new: MountConfiguration) {
    result = old
    for part in Self.changeable where part.differs(old, new) {
      now.append(part.name)
      part.take(&result, new)
    }
    // Follows from others.
    result.policy.roundLeast = new.policy.roundLeast
    for part in Self.fixed where part.differs(old, new) { later.append(part.name) }
  }

  /// One setting, as part of a configuration.
  struct Part {
    let setting: Setting
    let differs: (MountConfiguration, MountConfiguration) -> Bool
    let take: (inout MountConfiguration, MountConfiguration) -> Void
    var name: String { setting.rawValue }

    init<Value: Equatable>(_ setting: Setting, _ path: WritableKeyPath<MountConfiguration, Value>) {
      self.setting = setting
      differs = { $0[keyPath: path] != $1[keyPath: path] }
      take = { $0[keyPath: path] = $1[keyPath: path] }
    }
  }

  static var changeable: [Part] {[
    Part(.retryInitial, \.policy.retryInitial), Part(.retryMax, \.policy.retryMax),
    Part(.maxConsecutiveFailures, \.policy.maxConsecutiveFailures),
    Part(.connectionCheckInterval, \.policy.connectionCheckInterval), Part(.parallel, \.policy.parallel),
    Part(.limit, \.policy.bytesPerSecondMax), Part(.limitSchedule, \.limitSchedule),
    Part(.syncEvery, \.policy.syncEvery), Part(.pauseOnMetered, \.pausesOnMetered), Part(.spoolQuota, \.spoolQuota),
    Part(.keepLocal, \.keepLocal), Part(.settle, \.settle), Part(.maxLag, \.maxLag), Part(.onSynced, \.hooks.synced),
    Part(.onFailed, \.hooks.failed), Part(.heartbeatURL, \.heartbeatURL), Part(.stallAfter, \.stallAfter),
    Part(.notify, \.notifiesDesktop),
  ]}

  static var fixed: [Part] {[
    Part(.destination, \.destination), Part(.also, \.also), Part(.web, \.page), Part(.stateDir, \.stateDirectory), Part(.uploadTimeout, \.policy.uploadTimeout),
    Part(.compress, \.compression), Part(.device, \.device), Part(.tokenFile, \.token), Part(.caFile, \.caFile),
    Part(.fsync, \.synchronizeTo), Part(.mountOptions, \.fuse), Part(.hideXattrs, \.hidesAttributes),
    Part(.hideStatus, \.hidesStatus), Part(.propagateDeletes, \.propagatesDeletes),
  ]}

  /// Parts of others (the destination), without a choice, or of no meaning to a mount that runs.
  static let unseen: Set<Setting> = [.s3Endpoint, .recordingsData, .chunkSize, .daemon]

  /// Settings that are in none of the lists, for the test that there are none.
  package static var unclassified: [Setting] {
    let known = Set((changeable + fixed).map(\.setting)).union(unseen)
    return Setting.allCases.filter { !known.contains($0) }
  }
}
