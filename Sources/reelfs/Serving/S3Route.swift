import CurlTransport
import Foundation
import S3Protocol
import Spool
import UploadCore
import UploadProtocol

/// What a mount needs to know of an S3 destination: from the command line, and from the AWS tools' variables and files.
enum S3Route {
  /// Cloudflare R2 wants parts of one length: 64 MiB parts hold 625 GiB.
  private static let equalPartChunks = 64

  static func store(
    bucket: String, prefix: String, endpoint: String?, caFile: String?, environment: [String: String]
  ) throws -> S3Store {
    let paths = S3SettingsFiles.paths(in: environment)
    @Sendable func settingsNow() throws -> S3Settings {
      try S3Settings(
        environment: environment, files: S3SettingsFiles(credentials: try file(paths.credentials), config: try file(paths.config)))
    }
    let settings = try settingsNow()
    let location = try S3Location(
      bucket: bucket, prefix: prefix, endpoint: try settings.endpoint(flag: endpoint), region: try settings.region(),
      style: try settings.style())
    let needsEqualParts = location.endpoint.host.hasSuffix(".r2.cloudflarestorage.com")
    let host = location.endpoint.host
    return S3Store(
      location: location, credentials: try settings.credentials(),
      plan: needsEqualParts ? try PartPlan.equal(chunks: equalPartChunks) : .growing, caFile: caFile,
      noProxy: ["localhost", "127.0.0.1", "[::1]"].contains(host) ? "*" : nil,
      currentCredentials: { try? settingsNow().credentials() })
  }

  /// A missing file says nothing; one that cannot be read is a mistake.
  @Sendable private static func file(_ path: String?) throws -> S3SettingsFiles.File? {
    guard let path, FileManager.default.fileExists(atPath: path) else { return nil }
    do {
      let bytes = try SystemFiles.read(path, bytesMax: ProfileFile.bytesMax)
      return S3SettingsFiles.File(name: path, text: String(decoding: bytes, as: UTF8.self))
    } catch {
      throw CommandFailure("the AWS settings cannot be read: \(error)")
    }
  }
}
