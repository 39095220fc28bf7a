import Foundation
import SyncStatus
import Testing

@Suite("health")
struct HealthTests {
  @Test("a mount fails by what a person must mend, and is well otherwise")
  func health() {
    #expect(Health(of: overall([])) == .well)
    #expect(Health(of: overall([recording("a")], .offline("no route"))) == .well)
    var late = recording("a")
    late.lagSeconds = 3_700
    #expect(Health(of: overall([late], .offline("no route"))) == .failing("the oldest byte not stored is 1h 01m old, no route"))
    var failed = recording("a", .failed)
    failed.error = "413"
    #expect(Health(of: overall([failed])) == .failing("1 recordings failed: a: 413"))
    #expect(Health(of: overall([], .blocked("401"))) == .failing("the destination is of no use: 401"))
    var whole = overall([])
    whole.journalError = "disk full"
    #expect(Health(of: whole) == .failing("the journal cannot be written: disk full"))
  }

  @Test("the dashboard and the alerts ask only for metrics that there are")
  func metricsInDocs() throws {
    var folder = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { folder.deleteLastPathComponent() }
    var whole = overall([recording("a")])
    whole.total.lastSyncedAt = 1
    whole.nextRoundAt = 1
    var machine = MetricsPage.Machine()
    machine.spoolBytesMax = 1
    let page = MetricsPage.text(whole, MetricsPage.Counters(), machine)
    let known = Set(page.matches(of: /# TYPE (\w+)/).map { String($0.1) })
    for name in ["docs/alerts.yml", "docs/grafana-dashboard.json"] {
      let text = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
      let used = Set(text.matches(of: /reelfs_[a-z_]+/).map { String($0.0) })
      #expect(used.count > 5, "\(name)")
      for metric in used where !known.contains(metric) {
        #expect(metric.hasSuffix("_bucket") && known.contains(String(metric.dropLast("_bucket".count))), "\(name): \(metric)")
      }
    }
  }
}
