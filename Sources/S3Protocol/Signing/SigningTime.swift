/// A moment as SigV4 writes it, in UTC, to the second.
package struct SigningTime: Hashable, Sendable {
  /// `20261124T021305Z`.
  package let stamp: String
  /// `20261124`: a signing key is good for this day.
  package var day: String { String(stamp.prefix(8)) }

  /// - Parameter seconds: since 1970 in UTC; what a four-digit year cannot name is written as the nearest that it can.
  package init(secondsSince1970 seconds: Int64) {
    let seconds = min(max(seconds, 0), 253_402_300_799)
    let (days, rest) = (seconds / 86_400, seconds % 86_400)
    let (year, month, day) = Calendar.date(dayNumber: days)
    self.stamp =
      Self.digits(year, 4) + Self.digits(month, 2) + Self.digits(day, 2) + "T" + Self.digits(rest / 3_600, 2)
      + Self.digits(rest / 60 % 60, 2) + Self.digits(rest % 60, 2) + "Z"
  }

  private static func digits(_ number: Int64, _ count: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
  }
}

/// The Gregorian calendar. Years are counted from March, so that the leap day is the last of its year; 400 years have
/// 146,097 days.
enum Calendar {
  /// - Parameter dayNumber: days since 1970-01-01, not negative.
  static func date(dayNumber: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = dayNumber + 719_468
    let (era, dayOfEra) = (shifted / 146_097, shifted % 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
  }

  /// Days from 1970-01-01 to a date in or after year 0.
  static func dayNumber(year: Int64, month: Int64, day: Int64) -> Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let (era, yearOfEra) = (shifted / 400, shifted % 400)
    let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }
}
