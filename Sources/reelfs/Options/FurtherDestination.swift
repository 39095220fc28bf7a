import Foundation

/// One of `--also`: a destination with a token of its own.
package struct FurtherDestination: Sendable, Equatable {
  package let destination: Destination
  /// Absolute.
  package let tokenFile: String?
  /// Sent as bearer token; never shown.
  package let token: String?

  /// Each has a thread, connections and buffers of its own, and what one of them lacks stays on the local disk: more than a
  /// handful is a task for the receiving side.
  package static let countMax = 4

  /// Stands between a destination and the file with its token: `https://host:port#token-file=/path`.
  static let tokenMark = "#token-file="

  package init(destination: Destination, tokenFile: String? = nil, token: String? = nil) {
    (self.destination, self.tokenFile, self.token) = (destination, tokenFile, token)
  }

  /// The destination, and the path of its token's file if one is named.
  static func split(_ text: String) -> (destination: String, tokenFile: String?) {
    guard let mark = text.range(of: tokenMark) else { return (text, nil) }
    return (String(text[..<mark.lowerBound]), String(text[mark.upperBound...]))
  }
}
