import SyncStatus

/// How this machine's mounts are set, as far as that can hold no secret.
enum SettingsFacts {
  /// Settings that are numbers, words or places. Whatever is not in here (commands, addresses of others) is not shown: a
  /// new setting is kept back until somebody has thought about it.
  private static let shown: Set<Setting> = [
    .destination, .stateDir, .uploadTimeout, .retryInitial, .retryMax, .maxConsecutiveFailures, .connectionCheckInterval,
    .chunkSize, .parallel, .limit, .spoolQuota, .keepLocal, .settle, .maxLag, .compress, .device, .tokenFile, .caFile,
    .s3Endpoint, .fsync, .mountOptions, .hideXattrs, .hideStatus, .propagateDeletes, .recordingsData, .daemon,
  ]

  static func environment() -> String {
    let values = Environment.variables(Setting.allCases.map(\.variable) + ["XDG_STATE_HOME", "XDG_CONFIG_HOME", "LANG", "TERM"])
    let lines = values.sorted { $0.key < $1.key }.map { name, value in
      let setting = Setting.allCases.first { $0.variable == name }
      return "\(name)=\(setting.map { shown.contains($0) } ?? true ? value : "(removed)")\n"
    }
    return lines.isEmpty ? "no REELFS_ variable is set\n" : lines.joined()
  }

  static func configFile() -> String {
    do throws(CommandFailure) {
      guard let (path, values) = try file() else { return "# there is none\n" }
      let lines = values.sorted { $0.key.rawValue < $1.key.rawValue }.map { setting, value in
        "\(setting.rawValue): \(shown.contains(setting) ? value.text : "(removed)")\n"
      }
      return "# \(path)\n" + lines.joined()
    } catch {
      return "# cannot be read: \(error.message)\n"
    }
  }

  /// Where tokens lie that must not get into a bundle.
  static func tokenFiles() -> [String] {
    let variable = Environment.variables([Setting.tokenFile.variable]).values
    return Array(variable) + [((try? file()) ?? nil)?.values[.tokenFile]?.text].compactMap { $0 }
  }

  private static func file() throws(CommandFailure) -> (path: String, values: [Setting: SettingValue])? {
    let environment = Environment.variables(StateLocation.variables)
    for path in [StateLocation.configFile(environment), "/etc/reelfs/config.yaml"].compactMap({ $0 }) {
      let bytes: [UInt8]
      do throws(SystemFailure) { bytes = try SystemFiles.read(path, bytesMax: ConfigFile.bytesMax) } catch {
        continue
      }
      return (path, try ConfigFile.parse(String(decoding: bytes, as: UTF8.self), path: path))
    }
    return nil
  }
}
