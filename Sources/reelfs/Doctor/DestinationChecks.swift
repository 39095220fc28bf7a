import Glibc
import SyncStatus

/// Whether the destination answers, takes the token, and agrees about the time.
package enum DestinationChecks {
  /// More difference than this makes signed requests and ages of recordings wrong.
  private static let skewSecondsMax = 60.0

  static func all(_ address: ReceiverAddress, token: String?) -> [Finding] {
    let subject = "destination"
    let asked = WallClock.now()
    let request = address.isSecure ? nil : healthRequest(address, token)
    switch TCPProbe.exchange(host: address.host, port: address.port, send: request) {
    case .failure(let failure):
      return [Finding(.bad, subject, "\(address): \(failure.message)", mend: failure.mend)]
    case .success where address.isSecure:
      return [
        Finding(
          .warn, subject, "\(address) takes connections; its TLS certificate is not checked here",
          mend: "curl \(address)/healthz shows whether the certificate is trusted")
      ]
    case .success(let answer):
      return answered(address, answer, now: (asked + WallClock.now()) / 2)
    }
  }

  private static func healthRequest(_ address: ReceiverAddress, _ token: String?) -> String {
    let host = (address.host.contains(":") ? "[\(address.host)]" : address.host) + ":\(address.port)"
    var lines = ["GET \(address.basePath)/healthz HTTP/1.1", "Host: \(host)", "Connection: close"]
    if let token { lines.append("Authorization: Bearer \(token)") }
    return lines.joined(separator: "\r\n") + "\r\n\r\n"
  }

  /// What the head of an HTTP answer tells.
  package static func answered(_ address: ReceiverAddress, _ answer: [UInt8], now: Double) -> [Finding] {
    let head = String(decoding: answer, as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: false)
    let words = (head.first ?? "").split(separator: " ")
    guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
      return [
        Finding(
          .bad, "destination", "\(address) does not speak HTTP", mend: "is another program on this port? try https://")
      ]
    }
    var findings = [reading(of: status, address)]
    let date = head.dropFirst().prefix { !$0.isEmpty }.first { $0.lowercased().hasPrefix("date:") }
    if let date, let there = HTTPDate.seconds(of: String(date.dropFirst(5))) { findings.append(clock(now - there)) }
    return findings
  }

  private static func reading(of status: Int, _ address: ReceiverAddress) -> Finding {
    switch status {
    case 200: Finding(.ok, "destination", "\(address) is there")
    case 401, 403:
      Finding(.bad, "destination", "\(address) refuses the token (\(status))", mend: "correct --token-file")
    case 404:
      Finding(
        .bad, "destination", "\(address) is a web server, but no receiver (404)",
        mend: "correct the address, also the path below which a proxy offers the receiver")
    default:
      Finding(
        .bad, "destination", "\(address) answers \(status) to /healthz", mend: "look into the receiver's or proxy's log"
      )
    }
  }

  private static func clock(_ ahead: Double) -> Finding {
    let seconds = Int(abs(ahead).rounded())
    guard abs(ahead) > skewSecondsMax else { return Finding(.ok, "clock", "agrees with the destination's") }
    return Finding(
      .warn, "clock", "this machine is \(seconds) s \(ahead > 0 ? "ahead of" : "behind") the destination",
      mend: "set both by NTP (timedatectl set-ntp true)")
  }
}

/// Seconds since 1970.
enum WallClock {
  static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that servers send.
package enum HTTPDate {
  package static func seconds(of text: String) -> Double? {
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let words = text.split(separator: " ")
    guard words.count == 6, words[5] == "GMT", let month = months.firstIndex(of: String(words[2])) else { return nil }
    let number = month + 1
    return Timestamp.seconds(of: "\(words[3])-\(number < 10 ? "0" : "")\(number)-\(words[1])T\(words[4])Z")
  }
}
