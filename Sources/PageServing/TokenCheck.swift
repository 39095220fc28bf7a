internal import Crypto
public import HTTPTypes

/// Whether a request may do what it asks.
public struct TokenCheck: Sendable {
  /// SHA-256 of the token: digests have one length, so the comparison's time tells nothing about the token.
  private let expected: [UInt8]?

  /// - Parameter token: nil: everything is allowed.
  public init(token: String?) { expected = token.map { Array(SHA256.hash(data: Array($0.utf8))) } }

  public enum Verdict: Sendable {
    case allowed, missing, wrong
  }

  public func verdict(_ headers: HTTPFields) -> Verdict {
    guard let expected else { return .allowed }
    guard let value = headers[.authorization] else { return .missing }
    let words = value.split(separator: " ", maxSplits: 1)
    guard words.count == 2, words[0].lowercased() == "bearer" else { return .wrong }
    let given = Array(SHA256.hash(data: Array(words[1].utf8)))
    var difference: UInt8 = 0
    for (left, right) in zip(expected, given) { difference |= left ^ right }
    return difference == 0 ? .allowed : .wrong
  }
}
