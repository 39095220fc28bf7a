import Glibc
import UploadSimulator

/// `simulate`: SEEDS=20000 (how many), FIRST=0 (from where), JOBS=n (threads; default all cores), SEED=n (one),
/// TRACE=1 (print its last events); or FLEET=10000 (so many machines and one receiver that comes back), with the
/// variables of `FleetCommand`.
enum SimulateCommand {
  /// - Returns: 0 all invariants held, 1 one was broken, 2 bad usage.
  static func run() async -> Int32 {
    do throws(BadNumber) {
      if let clients = try number("FLEET") { return try FleetCommand.run(clients: clients) }
      if let seed = try number("SEED") { return show(seed, isTraced: try number("TRACE") == 1) }
      let count = try number("SEEDS") ?? 20_000
      let jobs = try number("JOBS") ?? UInt64(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
      return await sweep(from: try number("FIRST") ?? 0, count: count, jobs: jobs)
    } catch {
      print("simulate: \(error.name)=\(error.text) is not a whole number")
      return 2
    }
  }

  /// Every seed, or all until the first that fails; the digest of all traces shows whether two runs were the same.
  private static func sweep(from first: UInt64, count: UInt64, jobs: UInt64) async -> Int32 {
    let seeds = SeedQueue(first: first, count: count)
    let sum = await withTaskGroup(of: SeedSum.self) { group in
      // Each simulation is single-threaded and knows nothing of the others.
      for _ in 0..<max(1, min(jobs, 256)) { group.addTask { seeds.work() } }
      return await group.reduce(into: SeedSum()) { $0.add($1) }
    }
    if let failed = seeds.firstFailed {
      print("seeds=\(failed - first + 1) failed")
      return show(failed, isTraced: true)
    }
    print("seeds=\(count) steps=\(sum.steps) trace=\(String(sum.digest, radix: 16)) ok")
    return 0
  }

  private static func show(_ seed: UInt64, isTraced: Bool) -> Int32 {
    let report = Simulation.run(seed: seed, isTraced: isTraced)
    for line in report.lines { print(line) }
    let verdict = report.violation.map { "FAILED \($0)" } ?? "ok"
    print("seed=\(seed) steps=\(report.steps) trace=\(String(report.digest, radix: 16)) \(verdict)")
    if report.violation != nil, !isTraced { print("SEED=\(seed) TRACE=1 shows the last events") }
    return report.violation == nil ? 0 : 1
  }

  struct BadNumber: Error {
    let name: String
    let text: String
  }

  static func number(_ name: String) throws(BadNumber) -> UInt64? {
    guard let value = unsafe getenv(name) else { return nil }
    let text = unsafe String(cString: value)
    guard let number = UInt64(text) else { throw BadNumber(name: name, text: text) }
    return number
  }
}
