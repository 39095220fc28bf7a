/// Everything that can be set for a mount. One name for each, in three spellings: `--upload-timeout`,
/// `REELFS_UPLOAD_TIMEOUT`, `upload-timeout:` in config.yaml.
package enum Setting: String, CaseIterable, Sendable {
  case destination
  case also
  case stateDir = "state-dir"
  case uploadTimeout = "upload-timeout"
  case retryInitial = "retry-initial"
  case retryMax = "retry-max"
  case maxConsecutiveFailures = "max-consecutive-failures"
  case connectionCheckInterval = "connection-check-interval"
  case chunkSize = "chunk-size"
  case parallel
  case limit
  case limitSchedule = "limit-schedule"
  case syncEvery = "sync-every"
  case pauseOnMetered = "pause-on-metered"
  case onSynced = "on-synced"
  case onFailed = "on-failed"
  case heartbeatURL = "heartbeat-url"
  case stallAfter = "stall-after"
  case notify
  case spoolQuota = "spool-quota"
  case keepLocal = "keep-local"
  case settle
  case maxLag = "max-lag"
  case compress
  case device
  case tokenFile = "token-file"
  case caFile = "ca-file"
  case s3Endpoint = "s3-endpoint"
  case fsync
  case mountOptions = "mount-options"
  case hideXattrs = "hide-xattrs"
  case hideStatus = "hide-status"
  case propagateDeletes = "propagate-deletes"
  case recordingsData = "recordings-data"
  case web
  case daemon

  /// On the command line; `-o` is short and repeated there.
  package var flag: String {
    switch self {
    case .destination: "DESTINATION"
    case .mountOptions: "-o"
    default: "--" + rawValue
    }
  }

  /// Settings with several values hold one a line. A variable separates them by blanks: a folder with a blank in its name
  /// can be given by the flag or in the config file.
  func lines(ofVariable text: String) -> String {
    self == .also ? text.split(whereSeparator: \.isWhitespace).joined(separator: "\n") : text
  }

  package var variable: String {
    "REELFS_" + rawValue.uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
  }
}

/// A text that somebody set, and where, so that a complaint can name the place.
package struct SettingValue: Sendable, Equatable {
  package let text: String
  /// `--parallel`, `REELFS_PARALLEL`, or `/etc/reelfs.yaml line 3 (parallel)`.
  package let origin: String

  package init(_ text: String, origin: String) {
    self.text = text
    self.origin = origin
  }
}

/// The settings of all sources. Precedence: flag, then variable, then config file; what nobody set is not in here.
package struct Settings: Sendable, Equatable {
  private var values: [Setting: SettingValue]

  package init(flags: [Setting: String], environment: [String: String], file: [Setting: SettingValue]) {
    values = file
    for setting in Setting.allCases {
      if let text = flags[setting] {
        values[setting] = SettingValue(text, origin: setting.flag)
      } else if let text = environment[setting.variable], !text.isEmpty {
        // An empty variable is how a unit file unsets one.
        values[setting] = SettingValue(setting.lines(ofVariable: text), origin: setting.variable)
      }
    }
  }

  package subscript(_ setting: Setting) -> SettingValue? { values[setting] }
}
