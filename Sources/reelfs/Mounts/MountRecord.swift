import Foundation
import SyncStatus

/// `.status/mount.json`: how a running mount was set up, as far as other programs of its user must know.
package struct MountRecord: Sendable, Equatable, Codable {
  package var schemaVersion = 1
  package let mountpoint: String
  package let stateDirectory: String
  /// Where requests go; of an embedded receiver its address on the loopback interface.
  package let destination: String
  package let device: String
  /// The file, not its content.
  package let tokenFile: String?
  package let caFile: String?
  /// Further destinations, in their order; nil when there are none.
  package let also: [Further]?

  package struct Further: Sendable, Equatable, Codable {
    package let destination: String
    package let tokenFile: String?
  }

  package init(
    mountpoint: String, stateDirectory: String, destination: String, device: String, tokenFile: String?, caFile: String?,
    also: [Further]? = nil
  ) {
    self.also = also
    self.mountpoint = mountpoint
    self.stateDirectory = stateDirectory
    self.destination = destination
    self.device = device
    self.tokenFile = tokenFile
    self.caFile = caFile
  }

  /// - Parameter destination: where requests go.
  init(_ configuration: MountConfiguration, destination: String) {
    let also = configuration.also.map { Further(destination: $0.destination.description, tokenFile: $0.tokenFile) }
    self.init(
      mountpoint: configuration.mountpoint, stateDirectory: configuration.stateDirectory, destination: destination,
      device: configuration.device, tokenFile: configuration.tokenFile, caFile: configuration.caFile,
      also: also.isEmpty ? nil : also)
  }

  package var json: [UInt8] {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Strings and an integer always encode.
    return Array((try? encoder.encode(self)) ?? Data()) + [UInt8(ascii: "\n")]
  }
}

extension MountRoot {
  /// A path twice as long as any, escaped, would still fit.
  private static let recordBytesMax = 64 << 10

  package func record() throws(CommandFailure) -> MountRecord {
    let bytes: [UInt8]
    do throws(SystemFailure) {
      bytes = try SystemFiles.read(path + "/.status/mount.json", bytesMax: Self.recordBytesMax)
    } catch {
      throw CommandFailure("cannot ask the mount how it was set up (is it an older reelfs? reelfs restart \(path)): \(error)")
    }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    do { return try decoder.decode(MountRecord.self, from: Data(bytes)) } catch {
      throw CommandFailure("\(path)/.status/mount.json cannot be read (is it another version of reelfs?): \(error)")
    }
  }
}
