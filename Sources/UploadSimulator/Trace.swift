/// What happened, as a number that two runs of one seed must agree on, and (when asked for) as lines to read.
struct Trace {
  /// FNV-1a over everything noted.
  private(set) var digest: UInt64 = 0xCBF2_9CE4_8422_2325
  private(set) var steps = 0
  /// The last `linesMax`: enough to see what led to a failure.
  private(set) var lines: [String] = []
  let isWritten: Bool
  static let linesMax = 50

  init(isWritten: Bool) { self.isWritten = isWritten }

  mutating func note(at now: Int64, _ text: @autoclosure () -> String, _ numbers: Int64...) {
    steps += 1
    mix(UInt64(bitPattern: now))
    for number in numbers { mix(UInt64(bitPattern: number)) }
    guard isWritten else { return }
    if lines.count == Self.linesMax { lines.removeFirst() }
    let milliseconds = now / 1_000_000
    lines.append("\(milliseconds / 1_000).\(String(milliseconds % 1_000 + 1_000).dropFirst()) \(text())")
  }

  mutating func mix(_ number: UInt64) {
    digest = (digest ^ (number & 0xFFFF_FFFF)) &* 0x100_0000_01B3
    digest = (digest ^ (number >> 32)) &* 0x100_0000_01B3
  }
}
