import UploadCore
import UploadSimulator

/// FLEET=10000 (machines), with SEED=1, CAPACITY=2000 (requests a second), OUTAGE=300 and PERIOD=10 (seconds), WAITING=128 (the
/// receiver answers 503 when more requests wait; 0: it lets everybody wait). One JSON line.
enum FleetCommand {
  static func run(clients: UInt64) throws(SimulateCommand.BadNumber) -> Int32 {
    var setup = Fleet.Setup()
    setup.clients = Int(clamping: max(1, clients))
    setup.seed = try SimulateCommand.number("SEED") ?? setup.seed
    if let capacity = try SimulateCommand.number("CAPACITY") { setup.capacity = Int(clamping: max(1, min(capacity, 1_000_000))) }
    if let outage = try seconds("OUTAGE") { setup.outage = outage }
    if let period = try seconds("PERIOD") { setup.period = max(.milliseconds(1), period) }
    if let waiting = try SimulateCommand.number("WAITING") { setup.waitingMax = waiting == 0 ? nil : Int(clamping: waiting) }
    let report = Fleet.run(setup)
    print(
      "{\"measure\":\"fleet\",\"clients\":\(report.clients),\"capacity_per_s\":\(report.capacityPerSecond),"
        + "\"outage_s\":\(setup.outage.nanoseconds / 1_000_000_000),"
        + "\"waiting_max\":\(setup.waitingMax ?? 0),\"peak_requests_per_s\":\(report.peakRequestsPerSecond),"
        + "\"peak_probes_per_s\":\(report.peakProbesPerSecond),\"requests\":\(report.requests),"
        + "\"futile_share\":\(rounded(report.futileShare)),\"everybody_served_s\":\(rounded(report.everybodyServed)),"
        + "\"drained_s\":\(rounded(report.drained)),\"jain_fairness\":\(rounded(report.fairness))}")
    return 0
  }

  private static func seconds(_ name: String) throws(SimulateCommand.BadNumber) -> Span? {
    try SimulateCommand.number(name).map { .seconds(Int64(clamping: min($0, 86_400))) }
  }

  /// Four digits after the point; null for what was never reached, because JSON has no infinity.
  private static func rounded(_ number: Double) -> String {
    number.isFinite ? String((number * 10_000).rounded() / 10_000) : "null"
  }
}
