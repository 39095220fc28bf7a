package import SyncStatus

/// Where a mount's page is served: on the loopback interface only. It shows the names of all recordings, in plain HTTP.
package struct PageAddress: Sendable, Equatable {
  package let host: String
  /// 0: any free one.
  package let port: Int

  package static let usual = PageAddress(host: "127.0.0.1", port: 8091)

  private init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  package init(_ text: String) throws(TextError) {
    let (host, port) = try ReceiverAddress.listening(text)
    guard let address = Self.loopback[host] else {
      throw TextError(
        "\"\(text)\": the page is for this machine only (127.0.0.1, localhost or [::1]); from elsewhere reach it with "
          + "ssh -L \(port):127.0.0.1:\(port) and this machine's name")
    }
    self.init(host: address, port: port)
  }

  /// As it is bound to.
  private static let loopback = ["127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1"]
}
