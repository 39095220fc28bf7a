import SyncStatus
import Testing

@Suite("limit schedules")
struct LimitScheduleTests {
  private func at(_ weekday: Int, _ hour: Int, _ minute: Int = 0) -> LocalTime {
    LocalTime(weekday: weekday, hour: hour, minute: minute)
  }

  @Test("an entry holds from its time on until the next one's, also past midnight")
  func daily() throws {
    let schedule = try LimitSchedule("08:00,2M 18:00,off")

    #expect(schedule.window(at: at(1, 7, 59)).bytesPerSecond == nil)
    #expect(schedule.window(at: at(1, 8)).bytesPerSecond == 2 << 20)
    #expect(schedule.window(at: at(6, 17, 59)).bytesPerSecond == 2 << 20)
    #expect(schedule.window(at: at(6, 18)).bytesPerSecond == nil)
    #expect(schedule.window(at: at(0, 0)).bytesPerSecond == nil)
  }

  @Test("entries of a weekday hold round the week, and mix with those of every day")
  func weekly() throws {
    let schedule = try LimitSchedule("mon-08:00,512K Fri-20:00,off")
    #expect(schedule.window(at: at(0, 12)).bytesPerSecond == nil)
    #expect(schedule.window(at: at(1, 8)).bytesPerSecond == 512 << 10)
    #expect(schedule.window(at: at(5, 19, 59)).bytesPerSecond == 512 << 10)
    #expect(schedule.window(at: at(5, 20)).bytesPerSecond == nil)

    let mixed = try LimitSchedule("08:00,1M Sat-09:00,off")
    #expect(mixed.window(at: at(6, 8, 30)).bytesPerSecond == 1 << 20)
    #expect(mixed.window(at: at(6, 10)).bytesPerSecond == nil)
    #expect(mixed.window(at: at(0, 7)).bytesPerSecond == nil)
    #expect(mixed.window(at: at(0, 8)).bytesPerSecond == 1 << 20)
    #expect(LocalTime.text(minuteOfWeek: mixed.next(after: at(6, 8, 30)).minuteOfWeek) == "Sat 09:00")
    #expect(LocalTime.text(minuteOfWeek: mixed.next(after: at(6, 23)).minuteOfWeek) == "Sun 08:00")
  }

  @Test("a limit set by hand holds until the next window")
  func manual() throws {
    var follower = ScheduleFollower(try LimitSchedule("08:00,2M 18:00,off"))
    #expect(follower.begun(at: at(2, 9))?.bytesPerSecond == 2 << 20)
    // From here on somebody may set what he likes: nothing is said again.
    for minute in 1..<60 { #expect(follower.begun(at: at(2, 9, minute)) == nil) }
    #expect(follower.begun(at: at(2, 18)) == LimitSchedule.Window(minuteOfWeek: (2 * 24 + 18) * 60, bytesPerSecond: nil))
    #expect(follower.begun(at: at(2, 23)) == nil)
  }

  @Test("clocks that jump over an entry begin it after the gap; an hour that comes twice is treated alike both times")
  func daylightSaving() throws {
    // 02:00 becomes 03:00.
    var spring = ScheduleFollower(try LimitSchedule("01:00,1M 02:30,off"))
    #expect(spring.begun(at: at(0, 1, 59))?.bytesPerSecond == 1 << 20)
    #expect(spring.begun(at: at(0, 3)) == LimitSchedule.Window(minuteOfWeek: 150, bytesPerSecond: nil))

    // 03:00 becomes 02:00.
    var autumn = ScheduleFollower(try LimitSchedule("01:00,1M 02:30,off"))
    #expect(autumn.begun(at: at(0, 2, 59))?.minuteOfWeek == 150)
    #expect(autumn.begun(at: at(0, 2))?.bytesPerSecond == 1 << 20)
    #expect(autumn.begun(at: at(0, 2, 30))?.minuteOfWeek == 150)
  }

  @Test("a suspended machine wakes into the window of that moment, and is told of no other")
  func suspended() throws {
    var follower = ScheduleFollower(try LimitSchedule("06:00,1M 12:00,2M 18:00,3M"))
    #expect(follower.begun(at: at(3, 7))?.bytesPerSecond == 1 << 20)
    #expect(follower.begun(at: at(3, 22))?.bytesPerSecond == 3 << 20)
    #expect(follower.begun(at: at(3, 23)) == nil)
  }

  @Test(
    "nonsense is refused with the entry that is wrong",
    arguments: [
      "", "  ", "08:00", "08:00,", "8,2M", "24:00,2M", "08:60,2M", "-08:00,2M", "Mo-08:00,2M", "08:00,fast", "08:00,1",
      "08:00,2M 8:0,off", "Mon-08:00,1M 08:00,2M", "08:00:00,2M", "+8:00,2M", "٠٨:00,2M",
    ])
  func nonsense(text: String) {
    #expect(throws: TextError.self) { try LimitSchedule(text) }
  }
}
