import CurlTransport
import Foundation
import S3Protocol
import UploadCore

/// Whether keys for an S3 store are found, and whether it shows them the bucket. Stores nothing.
enum S3Checks {
  /// A store that says nothing for so long is as good as not there.
  private static let patience = Span.seconds(15)

  /// - Parameter environment: where the AWS tools' variables are looked for.
  static func all(
    bucket: String, prefix: String, endpoint: String?, environment: [String: String],
    leftovers: (S3Store) throws -> [Finding]
  ) throws -> [Finding] {
    let store: S3Store
    do {
      store = try S3Route.store(bucket: bucket, prefix: prefix, endpoint: endpoint, caFile: nil, environment: environment)
    } catch {
      return [Finding(.bad, "credentials", "\(error)")]
    }
    let destination = reading(of: outcome(of: store), store.location)
    let rest = destination.level == .ok ? try leftovers(store) : []
    return [Finding(.ok, "credentials", "found: \(store.credentials)"), destination] + rest
  }

  /// HEAD of the bucket, as a mount asks when it looks whether the store is there.
  private static func outcome(of store: S3Store) -> TransferOutcome {
    var policy = UploadPolicy()
    policy.parallel = 1
    policy.uploadTimeout = patience
    do throws(DestinationError) {
      let transport = try ConversationTransport(
        S3Destination(store, policy: policy), policy: policy, caFile: store.caFile, noProxy: store.noProxy, clock: SystemClock())
      transport.start(Transfer(id: TransferID(1), request: .probe), .probe)
      // Ends with the request, which ends with its stall timeout at the latest.
      while true {
        for case .transferred(_, let outcome) in transport.poll(until: nil) { return outcome }
      }
    } catch {
      return .unreachable("\(error)")
    }
  }

  private static func reading(of outcome: TransferOutcome, _ location: S3Location) -> Finding {
    let place = "\(location.description) at \(location.endpoint)"
    return switch outcome {
    case .reachable: Finding(.ok, "destination", "\(place) is there; whether it may be written to shows with the first recording")
    case .blocked(_, let words), .rejected(let words), .corrupted(let words): Finding(.bad, "destination", words)
    case .unreachable(let words):
      Finding(.bad, "destination", "\(place): \(words)", mend: "check the network, and the address after --s3-endpoint")
    case .retryable(let words, _), .throttled(let words, _), .unreadable(let words):
      Finding(.warn, "destination", "\(place): \(words)", mend: "ask again in a minute")
    default: Finding(.bad, "destination", "\(place) gave an answer that makes no sense")
    }
  }
}
