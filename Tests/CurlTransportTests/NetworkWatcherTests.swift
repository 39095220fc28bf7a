import CurlTransport
import Foundation
import Synchronization
import TestSupport
import Testing

@Suite("Network watcher")
struct NetworkWatcherTests {
  @Test("stopping ends the watch, twice does no harm, and nothing was reported on a quiet network")
  func stop() throws {
    let watcher = try NetworkWatcher {}
    watcher.stop()
    watcher.stop()
  }

  @Test(
    "an address that appears is reported",
    .enabled(if: IPCommand.canChangeAddresses, "needs the ip command and the right to add an address"))
  func newAddress() throws {
    let count = Counter()
    let watcher = try NetworkWatcher { count.increment() }
    defer { watcher.stop() }
    let address = "127.77.\(Int.random(in: 1...254)).\(Int.random(in: 1...254))/32"

    #expect(IPCommand.run("address", "add", address, "dev", "lo"))
    defer { _ = IPCommand.run("address", "del", address, "dev", "lo") }

    #expect(count.reaches(1))
  }
}

private final class Counter: Sendable {
  private let count = Atomic<Int>(0)

  func increment() { count.add(1, ordering: .relaxed) }

  /// Waits until so much was counted, for ten seconds at most.
  func reaches(_ wanted: Int) -> Bool {
    for _ in 0..<2_000 {
      if count.load(ordering: .relaxed) >= wanted { return true }
      usleep(5_000)
    }
    return false
  }
}

private enum IPCommand {
  /// Adding and removing an address of the loopback network, which nobody uses.
  static let canChangeAddresses: Bool = {
    let address = "127.78.\(Int.random(in: 1...254)).\(Int.random(in: 1...254))/32"
    return run("address", "add", address, "dev", "lo") && run("address", "del", address, "dev", "lo")
  }()

  static func run(_ arguments: String...) -> Bool {
    let candidates = ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"]
    guard let path = candidates.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else { return false }
    return (try? TestSupport.run([path] + arguments).code) == 0
  }
}
