/// Where a mount keeps its spool and journal when `--state-dir` does not say.
package enum StateLocation {
  package static let variables = ["XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOME", "STATE_DIRECTORY"]

  /// The folder with one folder for each mount point.
  package static func base(_ environment: [String: String]) -> String {
    // systemd gives a service its own folder.
    if let given = environment["STATE_DIRECTORY"]?.split(separator: ":").first { return String(given) }
    if let given = environment["XDG_STATE_HOME"], given.hasPrefix("/") { return given + "/reelfs" }
    if let home = environment["HOME"], home.hasPrefix("/") { return home.withoutTrailingSlash + "/.local/state/reelfs" }
    return "/var/lib/reelfs"
  }

  /// `BASE/home-me-Recordings/state`: the same for the same mount point, so that the next mount finds its queue.
  package static func stateDirectory(mountpoint: String, _ environment: [String: String]) -> String {
    base(environment) + "/" + escaped(mountpoint) + "/state"
  }

  /// `uploaded_data` beside the state directory, for the embedded receiver.
  package static func recordingsData(stateDirectory: String) -> String {
    let parts = stateDirectory.split(separator: "/").dropLast()
    return "/" + (parts + ["uploaded_data"]).joined(separator: "/")
  }

  /// `$XDG_CONFIG_HOME/reelfs/config.yaml`; nil without a home.
  package static func configFile(_ environment: [String: String]) -> String? {
    if let given = environment["XDG_CONFIG_HOME"], given.hasPrefix("/") { return given + "/reelfs/config.yaml" }
    return environment["HOME"].map { $0.withoutTrailingSlash + "/.config/reelfs/config.yaml" }
  }

  /// As systemd escapes paths: slashes become dashes, other than letters, digits, `_` and `.` become `\xNN`.
  private static func escaped(_ path: String) -> String {
    var name = ""
    for byte in path.utf8.drop(while: { $0 == UInt8(ascii: "/") }) {
      switch byte {
      case UInt8(ascii: "/"): name += "-"
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."):
        name.unicodeScalars.append(Unicode.Scalar(byte))
      default: name += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
      }
    }
    return name.isEmpty ? "-" : name
  }
}
