import TestSupport
import Testing

@Suite("Two processes")
struct TwoProcessesTests {
  /// Swift seeds its hashing anew in each process: an unsorted walk through a dictionary shows only here.
  @Test("the same seeds give the same traces in two processes")
  func sameTraces() throws {
    let first = try simulate(["SEEDS": "60"])
    let second = try simulate(["SEEDS": "60"])

    #expect(first.text.contains("seeds=60 "))
    #expect(first.status == 0)
    #expect(first.text == second.text)
  }

  @Test("the number of threads changes nothing")
  func sameOnOneThread() throws {
    let one = try simulate(["SEEDS": "60", "JOBS": "1"])
    let four = try simulate(["SEEDS": "60", "JOBS": "4"])

    #expect(one.status == 0)
    #expect(one.text == four.text)
  }

  @Test("one seed can be traced")
  func trace() throws {
    let run = try simulate(["SEED": "7", "TRACE": "1"])

    #expect(run.status == 0)
    #expect(run.text.contains("seed=7 "))
    #expect(run.text.split(separator: "\n").count > 10)
  }

  @Test("a seed that is no number is refused")
  func badSeed() throws {
    let run = try simulate(["SEED": "twelve"])

    #expect(run.status == 2)
    #expect(run.text.contains("SEED=twelve is not a whole number"))
  }

  /// Runs the program that was built beside these tests.
  private func simulate(_ environment: [String: String]) throws -> (status: Int32, text: String) {
    let (code, output, _) = try run([built("simulate")], environment: environment)
    return (code, output)
  }
}
