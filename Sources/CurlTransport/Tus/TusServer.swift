package import UploadCore

/// Where a tus server is, and who we are to it.
package struct TusServer: Sendable {
  /// Address at which uploads are created, with its slash.
  package let creationURL: String
  let token: BearerToken
  package let caFile: String?
  package let noProxy: String?
  /// Our name there, in the metadata.
  package let device: String

  /// - Parameter destination: the part after `tus+`, checked.
  package init(_ destination: ChunkDestination) {
    creationURL = destination.baseURL + "/"
    token = destination.token
    caFile = destination.caFile
    noProxy = destination.noProxy
    device = destination.device
  }

  /// A `Location`, which may be relative, as a whole address (RFC 3986, section 5, for the forms that servers use).
  func resolve(_ location: String) -> String {
    if location.hasPrefix("http://") || location.hasPrefix("https://") { return location }
    let scheme = creationURL.prefix { $0 != ":" }
    if location.hasPrefix("//") { return scheme + ":" + location }
    guard location.hasPrefix("/") else { return creationURL + location }
    let authority = creationURL.dropFirst(scheme.count + 3).prefix { $0 != "/" }
    return scheme + "://" + authority + location
  }

  /// Paths are shorter than whole addresses: headers that name uploads are limited (`final;…`).
  func shortened(_ url: String) -> String {
    let scheme = creationURL.prefix { $0 != ":" }
    let authority = scheme + "://" + creationURL.dropFirst(scheme.count + 3).prefix { $0 != "/" }
    return url.hasPrefix(authority + "/") ? String(url.dropFirst(authority.count)) : url
  }
}

/// What a server says it can do (tus 1.0.0, OPTIONS).
package struct TusCapabilities: Sendable, Equatable {
  /// With `concatenation`: chunks that are sent last, because recorders rewrite them. Servers that store on S3 join
  /// uploads of at least 5 MiB only.
  package static let headChunks = 5
  /// Chunks of one PATCH: servers on S3 read their last part again for each.
  package static let runChunksMax = 16

  package var extensions: Set<String>
  /// Strongest first: `sha256`, `sha1`; empty without the checksum extension.
  package var checksums: [String]

  /// nil: no tus 1.0 server.
  package init?(_ answer: HTTPAnswer) {
    guard 200...204 ~= answer.status, let versions = answer.headers["tus-version"] ?? answer.headers["tus-resumable"],
      Self.list(versions).contains("1.0.0")
    else { return nil }
    extensions = Set(Self.list(answer.headers["tus-extension"] ?? ""))
    let offered = Self.list(answer.headers["tus-checksum-algorithm"] ?? "")
    checksums = extensions.contains("checksum") ? ["sha256", "sha1"].filter(offered.contains) : []
  }

  package init(extensions: Set<String>, checksums: [String] = []) {
    self.extensions = extensions
    self.checksums = checksums
  }

  /// What it says it can, and cannot.
  mutating func deny(_ name: String) { extensions.remove(name) }

  /// Head and tail are uploaded apart and joined at the end.
  package var joins: Bool { extensions.isSuperset(of: ["concatenation", "creation-defer-length"]) }
  package var defersLength: Bool { extensions.contains("creation-defer-length") }
  /// Our own receiver's way to give a whole recording another name; tus has none.
  package var renames: Bool { extensions.contains("reelfs-metadata") }
  package var terminates: Bool { extensions.contains("termination") }

  /// nil: uploads cannot even be created.
  package var geometry: TransferGeometry? {
    guard extensions.contains("creation") else { return nil }
    return .appended(
      headChunks: joins ? Self.headChunks : 0, runChunksMax: Self.runChunksMax, waitsForClose: !defersLength)
  }

  private static func list(_ text: String) -> [String] {
    text.split { $0 == "," || $0 == " " }.map(String.init)
  }
}
