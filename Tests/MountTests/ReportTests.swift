import FaultyServer
import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

@Suite("Reports and metrics", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct ReportTests {
  @Test("report tells of failures and retries, mounted or not")
  func report() async throws {
    try await withWorld { world in
      let asked = Atomic(0)
      let server = try FaultyServer { head in
        switch (head.method, head.target) {
        case ("GET", "/healthz"): return .answer(.json(200, #"{"status":"ok"}"#))
        case ("POST", "/upload/chunk"):
          let isFirst = asked.add(1, ordering: .relaxed).oldValue == 0
          return .answer(isFirst ? .json(500, #"{"error":"broken","message":"out of order"}"#) : .receipt(for: head))
        case ("PUT", let target):
          return .answer(.json(200, "{\"session_id\":\"\(target.split(separator: "/").last ?? "")\",\"state\":\"receiving\"}"))
        default: return .answer(.json(413, #"{"error":"no","message":"not this one"}"#))
        }
      }
      defer { server.stop() }
      try world.startMount(to: server.url)
      try world.shell("head -c 900000 /dev/urandom > $MNT/take.wav")
      try world.wait(for: "failed", of: "take.wav")

      let (code, json) = try world.reelfs("report", world.mountpoint, "--json", "--since", "1h")
      #expect(code == 0)
      let report = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
      let endings = try #require(report["endings"] as? [String: Int])
      #expect(endings["stored"] == 1 && endings["failed"] == 1 && endings["rejected"] == 1, "\(json)")
      #expect(report["retries"] as? Int ?? 0 >= 1)
      #expect(report["bytes_stored"] as? Int == 900_000)

      try world.endMount()
      let text = try world.shell("\(Machine.reelfs) report \(world.state)")
      #expect(text.contains("take.wav (failed): 2 of "), "\(text)")
      #expect(text.contains("rejected: "))
    }
  }

  @Test("the metrics count what happened, and promtool finds nothing to say of them")
  func metrics() async throws {
    try await withMount { world in
      try world.shell("head -c 2500000 /dev/urandom > $MNT/take.wav")
      try world.waitUntilSynced("take.wav")
      let text = try Files.text(world.statusPath("metrics"))
      #expect(text.contains("\nreelfs_upload_attempts_total{outcome=\"stored\"} 3\n"))
      #expect(text.contains("\nreelfs_upload_attempts_total{outcome=\"completed\"} 1\n"))
      #expect(text.contains("\nreelfs_chunk_lag_seconds_count 3\n"))
      #expect(text.contains("\nreelfs_request_duration_seconds_count 3\n"))
      #expect(text.contains("\nreelfs_worker_starts_total 1\n"))
      let writes = try #require(text.firstMatch(of: /\nreelfs_write_duration_seconds_count (\d+)\n/)?.1)
      #expect((Int(writes) ?? 0) > 0)
      guard Machine.has("promtool") else { return }
      #expect(try world.run("promtool check metrics < $MNT/.status/metrics").output == "")
    }
  }

  @Test("a worker that was replaced is counted")
  func workers() async throws {
    try await withMount { world in
      try world.shell("printf x > $MNT/take.wav")
      kill(try #require(world.mount?.descendants.first), SIGKILL)
      try eventually("the next one serves") {
        (try? Files.text(world.statusPath("metrics")))?.contains("\nreelfs_worker_starts_total 2\n") == true
      }
    }
  }
}
