import CurlTransport
import Glibc
import SyncStatus
import UploadCore
import UploadProtocol

/// Whether the destination answers, takes the token, and agrees about the time. Stores nothing.
package enum DestinationChecks {
  /// More difference than this makes signed requests and ages of recordings wrong.
  private static let skewSecondsMax = 60.0
  /// A destination that says nothing for so long is as good as away.
  private static let patience = Span.seconds(5)
  private static let subject = "destination"

  /// - Parameter caFile: as of `--ca-file`.
  package static func all(_ address: ReceiverAddress, token: String?, caFile: String?) -> [Finding] {
    let requests: BlockingRequests
    do throws(DestinationError) {
      requests = BlockingRequests(
        destination: try ChunkDestination(
          baseURL: address.description, device: "doctor", writer: "doctor", token: token, caFile: caFile),
        clock: SystemClock(), stallTimeout: patience)
    } catch {
      return [Finding(.bad, subject, "\(error)", mend: "correct the address")]
    }
    let asked = WallClock.now()
    do throws(FetchError) {
      let answer = try requests.get(Routes.health)
      var findings = answered(address, status: answer.status, date: answer.date, now: (asked + WallClock.now()) / 2)
      // /healthz is open to those without a token; anything else is not.
      if token == nil, answer.status == 200, try requests.get(Routes.recordings).status == 401 {
        findings[0] = Finding(.bad, subject, "\(address) wants a token", mend: "give its token in a file: --token-file FILE")
      }
      return findings
    } catch {
      return [Finding(.bad, subject, "\(address): \(error)", mend: mend(error.description, address))]
    }
  }

  /// What status and Date header of an answer tell.
  package static func answered(
    _ address: ReceiverAddress, status: Int, date: String?, now: Double
  ) -> [Finding] {
    var findings = [reading(of: status, address)]
    if let date, let there = HTTPDate.seconds(of: date) { findings.append(clock(now - there)) }
    return findings
  }

  private static func reading(of status: Int, _ address: ReceiverAddress) -> Finding {
    switch status {
    case 200: Finding(.ok, subject, "\(address) is there")
    case 401, 403:
      Finding(.bad, subject, "\(address) refuses the token (\(status))", mend: "correct --token-file")
    case 404:
      Finding(
        .bad, subject, "\(address) is a web server, but no receiver (404)",
        mend: "correct the address, also the path below which a proxy offers the receiver")
    default:
      Finding(.bad, subject, "\(address) answers \(status) to /healthz", mend: "look into the receiver's or proxy's log")
    }
  }

  /// - Parameter words: libcurl's, of why there was no answer.
  private static func mend(_ words: String, _ address: ReceiverAddress) -> String {
    let words = words.lowercased()
    if words.contains("certificate") || words.contains("ssl") || words.contains("tls") {
      return "trust the authority that signed it with --ca-file, or have it renewed; is it http:// instead?"
    }
    if words.contains("resolve") { return "correct the name, or look at the network and its name server" }
    if words.contains("http/0.9") || words.contains("empty reply") || words.contains("no byte moved") {
      return "is another program on port \(address.port)? try https://, and look into the receiver's log"
    }
    return "is the receiver running there (reelfs receive), and does a firewall let port \(address.port) through?"
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
