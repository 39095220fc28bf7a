import Supervisor

/// Asks NetworkManager whether the connection in use is paid by the byte.
package struct Metering {
  /// A look at a property on the system's bus takes milliseconds; it is no reason to hang.
  private static let secondsMax = 5.0

  package enum Answer: Equatable, Sendable {
    case metered, unmetered
    /// There is no NetworkManager, no bus, or no `busctl`.
    case nobodyKnows
  }

  static func ask() -> Answer {
    let service = "org.freedesktop.NetworkManager"
    let command = ToolCommand([
      "busctl", "--system", "--timeout=4", "get-property", service, "/org/freedesktop/NetworkManager", service, "Metered",
    ])
    return command.output(secondsMax: secondsMax).map(answer) ?? .nobodyKnows
  }

  /// `u 1`: NMMetered is 0 unknown, 1 yes, 2 no, 3 and 4 guessed yes and no.
  package static func answer(_ text: String) -> Answer {
    switch text.split(whereSeparator: \.isWhitespace) {
    case ["u", "1"], ["u", "3"]: .metered
    case ["u", "0"], ["u", "2"], ["u", "4"]: .unmetered
    default: .nobodyKnows
    }
  }
}
