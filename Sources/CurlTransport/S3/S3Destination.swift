import Glibc
package import S3Protocol
package import UploadCore
import UploadProtocol

/// A bucket, and how to speak to it.
package struct S3Store: Sendable {
  package let location: S3Location
  package let credentials: S3Credentials
  /// Looks for the keys again, after they were refused: temporary ones are replaced where they were found. nil: there
  /// are none now. Any thread may call it.
  package let currentCredentials: @Sendable () -> S3Credentials?
  package let plan: PartPlan
  package let caFile: String?
  package let noProxy: String?

  package init(
    location: S3Location, credentials: S3Credentials, plan: PartPlan = .growing, caFile: String? = nil,
    noProxy: String? = nil, currentCredentials: @escaping @Sendable () -> S3Credentials? = { nil }
  ) {
    self.location = location
    self.credentials = credentials
    self.currentCredentials = currentCredentials
    self.plan = plan
    self.caFile = caFile
    self.noProxy = noProxy
  }

  /// Parts as the scheduler plans them.
  package var geometry: TransferGeometry {
    let layout: PartLayout =
      switch plan.shape {
      case .equal(let chunks): PartLayout(chunksPerPart: chunks)
      case .growing:
        PartLayout(
          stride(from: 1, through: PartPlan.partCountMax, by: Self.partsPerRung).map { number in
            PartLayout.Rung(parts: Self.partsPerRung, chunksPerPart: plan.chunks(ofPart: number).count)
          })
      }
    return .parts(layout, wholeChunksMax: plan.chunks(ofPart: 1).count)
  }

  /// `PartPlan.growing` keeps one length for so many parts.
  private static let partsPerRung = 1_000

  /// The plan's name in the journal: parts of another plan are of no use to this one.
  var planName: String {
    switch plan.shape {
    case .growing: "growing"
    case .equal(let chunks): "equal-\(chunks)"
    }
  }
}

/// Signs requests, and remembers what the server said about time, region and keys. Belongs to one thread.
package final class S3Caller {
  package let store: S3Store
  private(set) var location: S3Location
  private var credentials: S3Credentials
  private var signer: S3Signer
  /// Seconds that the server's clock is ahead of ours; only once it has complained.
  private var skew: Int64 = 0

  package init(_ store: S3Store) {
    self.store = store
    location = store.location
    credentials = store.credentials
    signer = S3Signer(credentials: store.credentials, region: store.location.region)
  }

  var reader: S3AnswerReader { S3AnswerReader(location) }

  func signed(
    _ request: S3Request, content: [[UInt8]] = [], stallTimeout: Span, heartbeat: Span? = nil,
    bytesPerSecondMax: Int? = nil
  ) -> HTTPRequest {
    let moment = SigningTime(secondsSince1970: Int64(time(nil)) + skew)
    return HTTPRequest(
      signer.sign(request, to: location, at: moment), content: content, stallTimeout: stallTimeout,
      heartbeat: heartbeat, bytesPerSecondMax: bytesPerSecondMax)
  }

  /// Takes the server's word for time and region, and looks for other keys.
  /// - Returns: whether the request is worth signing again.
  func learn(from refusal: S3Refusal, _ answer: S3Answer) -> Bool {
    switch refusal.meaning {
    case .clockSkewed: return takeTime(of: answer, secondsMin: 1)
    // A refusal without a document, as every one to HEAD, may mean the clock as well as the keys.
    case .credentialsRefused: return takeTime(of: answer, secondsMin: Self.skewTolerated) || takeCredentials()
    case .wrongRegion(let region?):
      guard region != location.region, let moved = try? location.moved(to: region) else { return false }
      location = moved
      signer = S3Signer(credentials: credentials, region: region)
      return true
    default: return false
    }
  }

  /// Servers let a quarter of an hour pass; a minute of it may be the answer's own way.
  private static let skewTolerated: Int64 = 14 * 60

  private func takeTime(of answer: S3Answer, secondsMin: Int64) -> Bool {
    let here = Int64(time(nil))
    guard let there = answer.serverTime, abs(there - here - skew) > secondsMin else { return false }
    skew = there - here
    return true
  }

  private func takeCredentials() -> Bool {
    guard let found = store.currentCredentials(), found != credentials else { return false }
    credentials = found
    signer = S3Signer(credentials: found, region: location.region)
    return true
  }
}

/// Uploads to any S3-compatible store (docs/PROTOCOL.md): a small recording as one object, a longer one as a multipart
/// upload whose parts are sent while it is recorded. Changed recordings take over what is unchanged by UploadPartCopy.
package struct S3Destination: ConversingDestination {
  package var address: String { store.location.description }
  private let store: S3Store
  private let caller: S3Caller
  private let uploadTimeout: Span

  package init(_ store: S3Store, policy: UploadPolicy) {
    self.store = store
    caller = S3Caller(store)
    uploadTimeout = policy.uploadTimeout
  }

  package mutating func begin(_ payload: ExchangePayload, bytesPerSecondMax: Int?) -> ConversationStep {
    guard case .exchange(let exchange) = payload else { return probe() }
    let key: S3Key
    do throws(S3ConfigurationError) {
      key = try store.location.key(ofPath: exchange.announcement.facts.path)
    } catch {
      return .end(.rejected("\(error)"))
    }
    let work = S3Work(
      exchange: exchange, memory: S3Memory(exchange.remote), key: key, store: store, caller: caller,
      uploadTimeout: uploadTimeout, bytesPerSecondMax: bytesPerSecondMax)
    do throws(SourceError) {
      switch exchange.request {
      case .announce: return work.announce()
      case .run(let run): return try work.run(run.chunks)
      case .complete: return try work.complete()
      case .recordings: return .end(.recordingsUntaken)
      case .chunk, .probe: return .end(.unreadable("an S3 store takes no single chunks"))
      }
    } catch {
      return .end(error.outcome)
    }
  }

  private func probe() -> ConversationStep {
    S3Call(caller: caller, address: address, stallTimeout: uploadTimeout).send(.headBucket()) { answer, reader throws(S3Refusal) in
      try reader.bucket(answer)
      return .end(.reachable)
    }
  }
}

/// Sends one request, and again after each thing that the caller could mend: time, region, keys.
struct S3Call {
  let caller: S3Caller
  let address: String
  let stallTimeout: Span
  var bytesPerSecondMax: Int?
  /// What a refusal means here, where it is not what it usually means.
  var refused: (S3Refusal) -> ConversationStep? = { _ in nil }

  /// One for each thing that can be mended; a server that contradicts itself must not be asked for ever.
  private static var repetitionsMax: Int { 3 }

  func send(
    _ request: S3Request, content: [[UInt8]] = [], heartbeat: Span? = nil, repetitions: Int = 0,
    then: @escaping (S3Answer, S3AnswerReader) throws(S3Refusal) -> ConversationStep
  ) -> ConversationStep {
    let http = caller.signed(
      request, content: content, stallTimeout: stallTimeout, heartbeat: heartbeat, bytesPerSecondMax: bytesPerSecondMax)
    return .send(http) { result in
      guard case .answered(let plain) = result else { return .end(OutcomeTable.unanswered(result, address)) }
      let answer = S3Answer(plain)
      do throws(S3Refusal) {
        return try then(answer, caller.reader)
      } catch {
        if repetitions < Self.repetitionsMax, caller.learn(from: error, answer) {
          return send(request, content: content, heartbeat: heartbeat, repetitions: repetitions + 1, then: then)
        }
        return refused(error) ?? .end(S3Outcomes.outcome(of: error))
      }
    }
  }
}
