import Glibc
import UploadSimulator

/// `simulate`: SEEDS=20000 (how many), FIRST=0 (from where), SEED=n (one), TRACE=1 (print its last events).
enum SimulateCommand {
  /// - Returns: 0 all invariants held, 1 one was broken, 2 bad usage.
  static func run() -> Int32 {
    do throws(BadNumber) {
      if let seed = try number("SEED") { return show(seed, isTraced: try number("TRACE") == 1) }
      return sweep(from: try number("FIRST") ?? 0, count: try number("SEEDS") ?? 20_000)
    } catch {
      print("simulate: \(error.name)=\(error.text) is not a whole number")
      return 2
    }
  }

  /// Every seed until the first that fails; the digest of all traces shows whether two runs were the same.
  private static func sweep(from first: UInt64, count: UInt64) -> Int32 {
    var steps = 0
    var digest: UInt64 = 0
    for seed in first..<first + count {
      let report = Simulation.run(seed: seed)
      steps += report.steps
      digest = (digest &* 0x100_0000_01B3) ^ report.digest
      guard report.violation == nil else {
        print("seeds=\(seed - first + 1) steps=\(steps) failed")
        return show(seed, isTraced: true)
      }
    }
    print("seeds=\(count) steps=\(steps) trace=\(String(digest, radix: 16)) ok")
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

  private struct BadNumber: Error {
    let name: String
    let text: String
  }

  private static func number(_ name: String) throws(BadNumber) -> UInt64? {
    guard let value = unsafe getenv(name) else { return nil }
    let text = unsafe String(cString: value)
    guard let number = UInt64(text) else { throw BadNumber(name: name, text: text) }
    return number
  }
}
