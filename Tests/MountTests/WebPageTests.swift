import Foundation
import TestSupport
import Testing

@Suite("The web page of a mount")
struct WebPageTests {
  /// The address without the token, and the token.
  private func page(_ world: World) throws -> (address: String, token: String) {
    let (code, output) = try world.reelfs("web", world.mountpoint)
    let parts = output.trimmingCharacters(in: .whitespacesAndNewlines).components(separatedBy: "#token=")
    guard code == 0, parts.count == 2 else { throw Failure("no page: \(output)") }
    return (parts[0], parts[1])
  }

  private func server(_ world: World) throws -> String {
    try world.run("pgrep -f -- 'page-server --mountpoint '$MNT' '").output.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  @Test("nothing runs for the page until somebody connects, and a crash of it touches no recording")
  func onDemand() async throws {
    try await withMount { world in
      let (address, _) = try page(world)
      #expect(try server(world) == "")
      try Files.write(world.path("take.wav"), noise(1_000))

      #expect(try world.shell("curl -sf \(address)").contains("<title>reelfs</title>"))
      let first = try server(world)
      #expect(!first.isEmpty)
      try world.shell("kill -KILL \(first)")
      #expect(try world.shell("curl -sf --retry 20 --retry-delay 1 --retry-all-errors \(address)metrics").contains("reelfs_recordings"))
      #expect(try server(world) != first)
      try world.waitUntilSynced("take.wav")

      try world.endMount()
      #expect(try server(world) == "")
      #expect(try world.run("curl -s \(address)").code != 0)
      #expect(!FileManager.default.fileExists(atPath: world.state + "/page.url"))
    }
  }

  @Test("live events tell of a recording, the chunk map shows where its chunks are, and the token lets it be steered")
  func liveAndSteered() async throws {
    try await withMount { world in
      let (address, token) = try page(world)
      try world.shell("curl -sN --max-time 30 \(address)api/events >$DIR/events & echo")
      try Files.write(world.path("take.wav"), noise(3 << 20))
      try world.waitUntilSynced("take.wav")
      try eventually("the page is told") {
        try world.shell("cat $DIR/events").contains("\"path\":\"take.wav\",\"status\":\"synced\",\"badge\":\"✓ SYNCED\"")
      }
      let session = world.attribute("session", of: "take.wav") ?? ""
      let map = try world.shell("curl -sf \(address)api/chunks/\(session)")
      #expect(map.contains("\"cells\":\"###\"") && map.contains("\"stored\":3"))
      #expect(try world.shell("cat $MNT/.status/\(session).chunks").contains("\"cells\":\"###\""))
      #expect(try world.run("cat $MNT/.status/sess_0000000000000000.chunks").code != 0)

      #expect(try world.shell("curl -s -o /dev/null -w '%{http_code}' -d pause \(address)api/control") == "401")
      #expect(
        try world.shell("curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer \(token)' -d pause \(address)api/control")
          == "204")
      try eventually("paused") { try world.shell("cat $MNT/.status/summary").contains("paused: 1") }
    }
  }

  @Test("the token is for the mount's user alone, and is not printed where a log may keep it")
  func tokenIsKept() async throws {
    try await withMount { world in
      let (address, token) = try page(world)
      #expect(try world.shell("stat -c %a $DIR/state/page.url") == "600\n")
      let said = world.mount?.said ?? ""
      #expect(said.contains("page: \(address)") && !said.contains(token))
    }
  }

  @Test("a port that is taken is no reason to fail: another one is said; none is none; elsewhere is refused")
  func ports() async throws {
    try await withWorld { world in
      try world.startReceiver()
      try world.startMount(["--web", "127.0.0.1:\(world.port)"], to: world.receiverURL)
      try eventually("another port is said") { world.mount?.said.contains("(port \(world.port) is taken)") == true }
      #expect(try world.shell("curl -sf \(page(world).address)").contains("<title>reelfs</title>"))
      try world.endMount()

      try world.startMount(["--web", "none"], to: world.receiverURL)
      #expect(try world.reelfs("web", world.mountpoint).code == 1)
      try world.endMount()

      let refused = try world.run("\(Machine.reelfs) mount --web 0.0.0.0:8091 \(world.receiverURL) $MNT --state-dir $DIR/state")
      #expect(refused.code == 1 && refused.output.contains("this machine only"))
    }
  }
}
