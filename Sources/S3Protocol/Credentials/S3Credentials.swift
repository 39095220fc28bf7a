/// A pair of keys, perhaps with a session token. Never printed: `description` shows the key's id only.
package struct S3Credentials: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible,
  CustomReflectable
{
  /// Session tokens have 2 KiB and grow.
  package static let byteCountMax = 16_384

  package let accessKeyID: String
  package let secretAccessKey: String
  package let sessionToken: String?

  /// - Parameter place: where the keys were found, for complaints.
  package init(
    accessKeyID: String, secretAccessKey: String, sessionToken: String? = nil, from place: String
  ) throws(S3ConfigurationError) {
    for (name, value) in [
      ("the access key id", accessKeyID), ("the secret access key", secretAccessKey),
      ("the session token", sessionToken ?? "none"),
    ] {
      // All of them get into headers or signatures: nothing may add a line.
      guard 1...Self.byteCountMax ~= value.utf8.count, value.utf8.allSatisfy({ 0x21...0x7e ~= $0 }) else {
        throw .unusableCredential(place: place, name: name)
      }
    }
    self.accessKeyID = accessKeyID
    self.secretAccessKey = secretAccessKey
    self.sessionToken = sessionToken
  }

  package var description: String { "key \(accessKeyID)" + (sessionToken == nil ? "" : " with a session token") }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
