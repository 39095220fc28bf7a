import CCurl
import Glibc
package import UploadCore

/// Reads the `Retry-After` of an answer.
package enum RetryAfter {
  /// Longer than anybody honours (`UploadPolicy.retryAfterMax`), short enough to calculate with.
  private static let secondsMax: Int64 = 366 * 86_400

  /// - Returns: the delay that the answer asks for; nil when it asks for none, or in words that nobody knows.
  ///   A date counts from the answer's own `Date`, so that our wall clock may be wrong; without one, from our clock.
  package static func delay(in answer: HTTPAnswer) -> Span? {
    guard let text = answer.retryAfter else { return nil }
    let digits = text.prefix { $0 != " " }
    if !digits.isEmpty, digits.utf8.allSatisfy({ 0x30...0x39 ~= $0 }) {
      return .seconds(min(secondsMax, Int64(digits) ?? secondsMax))
    }
    guard let date = seconds(of: text) else { return nil }
    let now = answer.date.flatMap(seconds(of:)) ?? Int64(time(nil))
    return .seconds(min(secondsMax, max(0, date - now)))
  }

  private static func seconds(of date: String) -> Int64? {
    let seconds = Int64(curl_getdate(date, nil))
    return seconds >= 0 ? seconds : nil
  }
}
