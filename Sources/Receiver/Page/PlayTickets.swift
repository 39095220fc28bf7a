import Crypto
import Foundation
import Hummingbird

/// Addresses that let a browser's player read one recording for a while: a `<video>` cannot send a token.
///
/// A ticket is a MAC over the recording's address and its end of life, made with a key that no other process knows: it
/// opens nothing else, cannot be made longer, and ends with the receiver. It stands in the address, so it may end in a
/// browser's history; that is why it is short-lived.
struct PlayTickets: Sendable {
  private let key = SymmetricKey(size: .bits256)

  /// A player asks for more bytes while it plays; the page gets a new ticket when one is over.
  static let seconds: Int64 = 3_600

  /// `location` with a ticket that is good from `now` on (seconds since 1970).
  func address(of location: String, now: Int64) -> String {
    let until = now + Self.seconds
    return "\(location)?until=\(until)&ticket=\(Data(mac(location, until)).hexadecimal)"
  }

  /// Whether a request carries a ticket for the recording it asks for.
  func allows(_ request: Request, _ location: String, now: Int64) -> Bool {
    let query = request.uri.queryParameters
    guard let until = query["until"].flatMap({ Int64($0) }), until >= now, until <= now + Self.seconds,
      let given = query["ticket"].flatMap({ Data(hexadecimal: $0) })
    else { return false }
    return HMAC<SHA256>.isValidAuthenticationCode(given, authenticating: Self.text(location, until), using: key)
  }

  private func mac(_ location: String, _ until: Int64) -> HMAC<SHA256>.MAC {
    HMAC<SHA256>.authenticationCode(for: Self.text(location, until), using: key)
  }

  private static func text(_ location: String, _ until: Int64) -> Data { Data("\(until) \(location)".utf8) }
}

extension Data {
  fileprivate var hexadecimal: String { DigestChain.hexadecimal(Array(self)) }

  fileprivate init?(hexadecimal text: Substring) {
    let digits = Array(text.utf8)
    guard digits.count == 64 else { return nil }
    var bytes: [UInt8] = []
    for place in stride(from: 0, to: digits.count, by: 2) {
      guard let byte = UInt8(String(decoding: digits[place..<place + 2], as: UTF8.self), radix: 16) else { return nil }
      bytes.append(byte)
    }
    self.init(bytes)
  }
}
