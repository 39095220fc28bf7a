import Yams

/// config.yaml: one flat mapping of setting names to plain values. An unknown name is an error, not a silence.
package enum ConfigFile {
  /// Two dozen short lines; more than this is another file.
  package static let bytesMax = 64 << 10

  /// - Parameter path: only for messages.
  package static func parse(_ text: String, path: String) throws(CommandFailure) -> [Setting: SettingValue] {
    let root: Node?
    do {
      root = try Yams.compose(yaml: text)
    } catch {
      throw CommandFailure("\(path) is not YAML: \(error)")
    }
    guard let root, root.null == nil else { return [:] }
    guard case .mapping(let mapping) = root else {
      throw CommandFailure("\(path) must be lines of the form name: value")
    }
    var values: [Setting: SettingValue] = [:]
    for (key, value) in mapping {
      let place = "\(path) line \(key.mark?.line ?? 0)"
      guard case .scalar(let name) = key,
        let setting = Setting(
          rawValue: name.string.split(separator: "_", omittingEmptySubsequences: false).joined(separator: "-"))
      else {
        let known = Setting.allCases.map(\.rawValue).joined(separator: ", ")
        throw CommandFailure("\(place): there is no setting \"\(key.string ?? "?")\"; known are \(known)")
      }
      guard values[setting] == nil else { throw CommandFailure("\(place): \(setting.rawValue) is set twice") }
      values[setting] = SettingValue(try self.text(of: value, setting, place), origin: "\(place) (\(setting.rawValue))")
    }
    return values
  }

  /// A scalar as it is written; for mount options and further destinations a list of them too.
  private static func text(of node: Node, _ setting: Setting, _ place: String) throws(CommandFailure) -> String {
    switch node {
    case .scalar(let scalar): return scalar.string
    case .sequence(let items) where setting == .also:
      return items.compactMap { $0.scalar?.string }.joined(separator: "\n")
    case .sequence(let items) where setting == .mountOptions:
      return items.compactMap { $0.scalar?.string }.joined(separator: ",")
    default: throw CommandFailure("\(place): \(setting.rawValue) must be one plain value")
    }
  }
}
