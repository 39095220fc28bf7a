/// RFC 3339 times in UTC, from and to seconds since 1970. The calendar is computed here: no time zone files are read.
public enum Timestamp {
  /// Last second that a four-digit year can name; later (or broken) times are written as this one.
  private static let lastSecond: Double = 253_402_300_799

  /// `2026-11-22T11:19:14Z`.
  public static func text(_ seconds: Double) -> String {
    fields(Int64(clamped(seconds))) + "Z"
  }

  /// `2026-11-22T11:19:14.123Z`: for events, which follow each other closely.
  public static func milliseconds(_ seconds: Double) -> String {
    let total = Int64(clamped(seconds) * 1_000)
    return fields(total / 1_000) + "." + padded(total % 1_000, to: 3) + "Z"
  }

  /// Reads what `text` and `milliseconds` write; nil for anything else.
  public static func seconds(of text: String) -> Double? {
    let bytes = Array(text.utf8)
    guard bytes.count >= 20, bytes.last == UInt8(ascii: "Z") else { return nil }
    for (index, mark) in [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")] where bytes[index] != mark.utf8.first {
      return nil
    }
    guard
      let year = number(bytes[0..<4]), let month = number(bytes[5..<7]), let day = number(bytes[8..<10]),
      let hour = number(bytes[11..<13]), let minute = number(bytes[14..<16]), let second = number(bytes[17..<19]),
      (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 61
    else { return nil }
    guard let part = fraction(bytes[19..<bytes.count - 1]) else { return nil }
    let days = dayNumber(year: year, month: month, day: day)
    return Double(days * 86_400 + hour * 3_600 + minute * 60 + second) + part
  }

  /// Days from 1970-01-01 to a date of the Gregorian calendar.
  public static func dayNumber(year: Int64, month: Int64, day: Int64) -> Int64 {
    // Years are counted from March, so the leap day is the last of its year; 400 years have 146,097 days.
    let shifted = month <= 2 ? year - 1 : year
    let era = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }

  private static func fields(_ total: Int64) -> String {
    let (days, rest) = (total / 86_400, total % 86_400)
    let (year, month, day) = date(days)
    return padded(year, to: 4) + "-" + padded(month, to: 2) + "-" + padded(day, to: 2) + "T"
      + padded(rest / 3_600, to: 2) + ":" + padded(rest / 60 % 60, to: 2) + ":" + padded(rest % 60, to: 2)
  }

  private static func date(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = days + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
  }

  private static func clamped(_ seconds: Double) -> Double {
    seconds.isFinite ? min(max(0, seconds), lastSecond) : 0
  }

  private static func padded(_ number: Int64, to width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
    var value: Int64 = 0
    for digit in digits {
      guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
      value = value * 10 + Int64(digit - UInt8(ascii: "0"))
    }
    return value
  }

  /// "" or "." and one to nine digits.
  private static func fraction(_ bytes: ArraySlice<UInt8>) -> Double? {
    guard let dot = bytes.first else { return 0 }
    guard dot == UInt8(ascii: "."), (2...10).contains(bytes.count), let digits = number(bytes.dropFirst()) else {
      return nil
    }
    var scale = 1.0
    for _ in 1..<bytes.count { scale *= 10 }
    return Double(digits) / scale
  }
}
