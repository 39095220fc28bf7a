/// The text of `.status/<path>` and `.status/<session id>`: the badge and the path, then one `name: value` a line. With several
/// destinations `destination.1` and so on say what each of them has: `⇪ 45% NAME`, and after a colon what is wrong there.
public enum StatusPage {
  /// UTF-8, ending in a newline. Without `json`, which would repeat it all.
  public static func text(of status: RecordingStatus) -> String {
    let path = status.path.isEmpty ? "." : PrintableText.line(status.pathText)
    var text = Badge(of: status).text + " " + path + "\n"
    for name in StatusAttributes.names where name != "json" {
      guard let value = StatusAttributes.value(name, of: status) else { continue }
      text += name + ": " + PrintableText.line(value) + "\n"
      if name == "destination" {
        for (place, share) in status.destinations.enumerated() { text += "destination.\(place + 1): \(share.line)\n" }
      }
    }
    return text
  }
}

/// Makes foreign text (paths, a server's words) harmless in a line-based view or on a terminal.
public enum PrintableText {
  /// Control characters, also those that would end the line or steer a terminal, become `\n`, `\t` or `\u{1b}`.
  public static func line(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    var line = ""
    for scalar in text.unicodeScalars {
      guard isControl(scalar) else {
        line.unicodeScalars.append(scalar)
        continue
      }
      switch scalar {
      case "\n": line += #"\n"#
      case "\r": line += #"\r"#
      case "\t": line += #"\t"#
      default: line += #"\u{"# + String(scalar.value, radix: 16) + "}"
      }
    }
    return line
  }

  /// C0, DEL, C1, line and paragraph separators, and the marks that turn the direction of writing around.
  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7F..<0xA0, 0x2028, 0x2029, 0x202A...0x202E, 0x2066...0x2069: true
    default: false
    }
  }
}
