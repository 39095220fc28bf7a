import Foundation
import SyncStatus

/// Which checks are made, and of what.
struct Doctor {
  var stateDirectory: String
  var destination: String?
  var tokenFile: String?
  var caFile: String?
  var s3Endpoint: String?
  /// Ends what is orphaned at the destination.
  var cleans = false
  /// Seconds; see `Leftover.verdict`.
  var orphanedAfter = Leftover.usualAge

  init(
    stateDirectory: String, destination: String? = nil, tokenFile: String? = nil, caFile: String? = nil,
    s3Endpoint: String? = nil
  ) {
    self.stateDirectory = stateDirectory
    self.destination = destination
    self.tokenFile = tokenFile
    self.caFile = caFile
    self.s3Endpoint = s3Endpoint
  }

  /// Whatever was not given on the command line is the mount's own.
  mutating func take(runningMount path: String) throws {
    guard let place = try MountLocator.system.places(for: path).first else { return }
    take(try place.root.record())
  }

  mutating func take(_ record: MountRecord) {
    stateDirectory = record.stateDirectory
    s3Endpoint = s3Endpoint ?? Environment.variables([Setting.s3Endpoint.variable]).values.first
    // A mount does not tell its endpoint: without it a store of somebody else's would be asked.
    let isKnown = !record.destination.hasPrefix("s3://") || s3Endpoint != nil
    destination = isKnown ? record.destination : nil
    tokenFile = tokenFile ?? record.tokenFile
    caFile = caFile ?? record.caFile
  }

  /// - Throws: when what was asked for cannot be done at all: nothing was changed then.
  func findings() throws -> [Finding] {
    var findings = MachineChecks.all()
    findings += StorageChecks.stateDirectory(stateDirectory)
    findings += StorageChecks.journals(stateDirectory)
    if let tokenFile { findings.append(StorageChecks.tokenFile(tokenFile)) }
    if let destination { findings += try checks(of: destination) }
    return findings
  }

  private func checks(of text: String) throws -> [Finding] {
    let destination: Destination
    do throws(TextError) { destination = try Destination(text, s3Endpoint: nil) } catch {
      if cleans { throw CommandFailure(error.message) }
      return [Finding(.bad, "destination", error.message, mend: "correct the address; reelfs mount --help shows each kind")]
    }
    // What is wrong with the token file is a finding of its own.
    let token = tokenFile.flatMap { try? TokenFile.read($0) }
    switch destination {
    case .receiver where cleans, .folder where cleans:
      throw CommandFailure("--clean: nothing is left over at \(text) that does not go by itself; it is for s3:// and tus+http://")
    case .receiver(let address): return DestinationChecks.all(address, token: token, caFile: caFile)
    case .s3(let bucket, let prefix, _):
      return try S3Checks.all(
        bucket: bucket, prefix: prefix, endpoint: s3Endpoint, environment: ProcessInfo.processInfo.environment
      ) { store in
        try S3Leftovers.findings(
          of: store, journals: try JournalsOfThisMachine.paths(below: stateDirectory, of: "s3://\(bucket)"), age: orphanedAfter,
          ends: cleans)
      }
    case .tus(let address):
      return try TusChecks.all(
        address, token: token, journals: { try JournalsOfThisMachine.paths(below: stateDirectory, of: "tus+\(address)") },
        ends: cleans)
    case .folder(let path): return FolderChecks.all(path)
    // A destination that is named is never this one.
    case .embedded: return []
    }
  }
}
