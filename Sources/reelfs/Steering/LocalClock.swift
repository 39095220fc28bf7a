import Glibc
import SyncStatus

/// The clock on the wall here.
enum LocalClock {
  /// Reads the time zone anew, so that a change of it counts at once.
  static func now() -> LocalTime {
    tzset()
    var seconds = time(nil)
    var fields = tm()
    localtime_r(&seconds, &fields)
    return LocalTime(weekday: Int(fields.tm_wday), hour: Int(fields.tm_hour), minute: Int(fields.tm_min))
  }
}
