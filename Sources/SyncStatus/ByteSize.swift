/// Amounts of bytes as people write them: `512K`, `2M`, `1MiB`, `1.5G`. Units are binary, whatever their spelling.
public enum ByteSize {
  /// 8 EiB less one: what a signed 64-bit number can hold.
  public static let max = Int64.max

  /// Reads an amount; a plain number means bytes.
  /// - Throws: a sentence that quotes the text and says what is allowed.
  public static func parse(_ text: String) throws(TextError) -> Int64 {
    let trimmed = text.trimmingBlanks
    let number = trimmed.prefix { ("0"..."9").contains($0) || $0 == "." }
    let suffix = trimmed.dropFirst(number.count).trimmingBlanks.lowercased()
    guard let shift = shifts[suffix] else {
      throw TextError("\"\(text)\" is not a size: write a number and K, M, G or T, for example 512K or 2M")
    }
    guard let bytes = scaled(number, by: shift) else {
      throw TextError("\"\(text)\" is not a size: it needs a number from 0 to 8191P, for example 512K or 1.5G")
    }
    return bytes
  }

  /// Reads a rate: `2M` or `2M/s` (bytes a second); `off` gives nil.
  public static func parseRate(_ text: String) throws(TextError) -> Int? {
    var amount = text.trimmingBlanks.lowercased()
    if amount == "off" { return nil }
    if amount.hasSuffix("/s") { amount.removeLast(2) }
    let bytes: Int64
    do throws(TextError) { bytes = try parse(amount) } catch {
      throw TextError("\"\(text)\" is not a rate: write bytes a second such as 512K or 2M, or off")
    }
    guard bytes >= rateMin else {
      throw TextError("\"\(text)\" is too slow: the least is 1K; to stop uploading, pause; to lift the limit, off")
    }
    return Int(bytes)
  }

  /// Slower than this, one chunk would take over a quarter of an hour and every stall timeout would fire.
  public static let rateMin: Int64 = 1_024

  /// `0 B`, `999 B`, `1.5 KiB`, `12.3 MiB`: at most four digits, rounded down so that it never claims more.
  public static func human(_ bytes: Int64) -> String {
    let unit = unit(of: bytes)
    return amount(bytes, unit) + " " + units[unit]
  }

  /// `9.0/20.0 MiB`: both in the unit of the whole.
  public static func part(_ bytes: Int64, of whole: Int64) -> String {
    let unit = unit(of: whole)
    return amount(min(bytes, whole), unit) + "/" + amount(whole, unit) + " " + units[unit]
  }

  private static let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]

  private static func unit(of bytes: Int64) -> Int {
    var unit = 0
    var value = bytes
    while value >= 1_024 {
      value /= 1_024
      unit += 1
    }
    return unit
  }

  private static func amount(_ bytes: Int64, _ unit: Int) -> String {
    let bytes = Swift.max(0, bytes)
    guard unit > 0 else { return String(bytes) }
    let scale = 10 * unit
    let rest = (bytes >> (scale - 10)) & 1_023
    return "\(bytes >> scale).\(rest * 10 / 1_024)"
  }

  private static let shifts: [String: Int64] = [
    "": 0, "b": 0, "k": 10, "kb": 10, "kib": 10, "m": 20, "mb": 20, "mib": 20, "g": 30, "gb": 30, "gib": 30,
    "t": 40, "tb": 40, "tib": 40, "p": 50, "pb": 50, "pib": 50
  ]

  /// nil when `number` is not a decimal number, or too large.
  private static func scaled(_ number: Substring, by shift: Int64) -> Int64? {
    if let whole = Int64(number) {
      let (bytes, overflow) = whole.multipliedReportingOverflow(by: 1 << shift)
      return overflow ? nil : bytes
    }
    guard number.first != ".", number.last != ".", let value = Double(number) else { return nil }
    let bytes = value * Double(Int64(1) << shift)
    return bytes < Double(Int64.max) ? Int64(bytes) : nil
  }
}

/// Lengths of time as people write them: `10`, `90s`, `15m`, `2h`, `1d`.
public enum DurationText {
  /// Ten years: longer is a slip of the hand.
  public static let secondsMax = 10.0 * 365 * 86_400

  /// Reads seconds; a plain number means seconds.
  /// - Throws: a sentence that quotes the text and says what is allowed.
  public static func parse(_ text: String) throws(TextError) -> Double {
    let trimmed = text.trimmingBlanks
    let number = trimmed.prefix { ("0"..."9").contains($0) || $0 == "." }
    let units: [String: Double] = ["": 1, "s": 1, "ms": 0.001, "m": 60, "min": 60, "h": 3_600, "d": 86_400]
    guard number.first != ".", number.last != ".", let value = Double(number),
      let unit = units[trimmed.dropFirst(number.count).trimmingBlanks.lowercased()]
    else {
      throw TextError("\"\(text)\" is not a time: write seconds, or a number and s, m, h or d, for example 90s or 15m")
    }
    guard value * unit <= secondsMax else { throw TextError("\"\(text)\" is too long: at most ten years") }
    return value * unit
  }

  /// `0s`, `59s`, `12m`, `3h 05m`, `2d 4h`: short enough for a column of seven.
  public static func human(_ seconds: Double) -> String {
    let total = seconds.isFinite ? Int64(min(Swift.max(0, seconds), secondsMax)) : 0
    if total < 60 { return "\(total)s" }
    if total < 3_600 { return "\(total / 60)m" }
    if total < 86_400 {
      let minutes = total / 60 % 60
      return "\(total / 3_600)h \(minutes < 10 ? "0" : "")\(minutes)m"
    }
    return "\(total / 86_400)d \(total / 3_600 % 24)h"
  }
}

/// What is wrong with a text that a person wrote: one sentence that says what is allowed.
public struct TextError: Error, Equatable, Sendable, CustomStringConvertible {
  public let message: String
  public init(_ message: String) { self.message = message }
  public var description: String { message }
}

extension StringProtocol {
  var trimmingBlanks: String {
    let front = drop { $0 == " " || $0 == "\t" }
    return String(front.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
  }
}
