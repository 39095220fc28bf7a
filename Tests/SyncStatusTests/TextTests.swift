import SyncStatus
import Testing

@Suite("what people write and read")
struct TextTests {
  @Test(
    "sizes are binary, whatever their spelling",
    arguments: [
      ("0", Int64(0)), ("1024", 1_024), ("512K", 512 << 10), ("2M", 2 << 20), ("1MiB", 1 << 20), (" 1 mb ", 1 << 20),
      ("1.5G", 3 << 29), ("8191P", 8_191 << 50)
    ])
  func sizes(text: String, bytes: Int64) throws {
    #expect(try ByteSize.parse(text) == bytes)
  }

  @Test(
    "what is not a size is refused in a sentence that quotes it",
    arguments: ["", "M", "2X", "-1", "1..5M", ".5M", "5.M", "1e3", "9000P", "99999999999999999999", "2M2", "٣M"])
  func badSizes(text: String) {
    let error = #expect(throws: TextError.self) { try ByteSize.parse(text) }
    #expect(error?.message.contains("\"\(text)\"") == true)
  }

  @Test("a rate may be off, and must not be too slow to be meant")
  func rates() throws {
    #expect(try ByteSize.parseRate("off") == nil)
    #expect(try ByteSize.parseRate("OFF") == nil)
    #expect(try ByteSize.parseRate("2M") == 2 << 20)
    #expect(try ByteSize.parseRate("2M/s") == 2 << 20)
    for bad in ["0", "1000", "fast", "", "/s", "-2M"] {
      #expect(throws: TextError.self) { try ByteSize.parseRate(bad) }
    }
  }

  @Test(
    "amounts are shown rounded down",
    arguments: [
      (Int64(-5), "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (1_048_575, "1023.9 KiB"), (3 << 29, "1.5 GiB"),
      (Int64.max, "7.9 EiB")
    ])
  func human(bytes: Int64, text: String) {
    #expect(ByteSize.human(bytes) == text)
  }

  @Test(
    "times are seconds unless a unit says otherwise",
    arguments: [
      ("10", 10.0), ("90s", 90), ("15m", 900), ("2h", 7_200), ("1d", 86_400), ("0.5", 0.5), ("250ms", 0.25)
    ])
  func durations(text: String, seconds: Double) throws {
    #expect(try DurationText.parse(text) == seconds)
  }

  @Test("what is not a time is refused", arguments: ["", "s", "-1", "1w", "1e9h", "11000d", "1.s", "nan", "inf"])
  func badDurations(text: String) {
    #expect(throws: TextError.self) { try DurationText.parse(text) }
  }

  @Test(
    "lengths of time fit a narrow column",
    arguments: [
      (0.9, "0s"), (59, "59s"), (720, "12m"), (11_100, "3h 05m"), (187_200, "2d 4h"), (-.infinity, "0s"), (.nan, "0s")
    ])
  func humanDurations(seconds: Double, text: String) {
    #expect(DurationText.human(seconds) == text)
  }

  @Test(
    "times are RFC 3339 in UTC and are read back",
    arguments: [
      (0.0, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"), (1_795_346_354, "2026-11-22T11:19:14Z"),
      (4_107_542_399, "2100-02-28T23:59:59Z"), (4_107_542_400, "2100-03-01T00:00:00Z"),
      (253_402_300_799, "9999-12-31T23:59:59Z")
    ])
  func timestamps(seconds: Double, text: String) {
    #expect(Timestamp.text(seconds) == text)
    #expect(Timestamp.seconds(of: text) == seconds)
  }

  @Test("broken clocks still give a time, and fractions are kept where asked for")
  func oddTimestamps() {
    #expect(Timestamp.text(.nan) == "1970-01-01T00:00:00Z")
    #expect(Timestamp.text(-5) == "1970-01-01T00:00:00Z")
    #expect(Timestamp.text(1e300) == "9999-12-31T23:59:59Z")
    #expect(Timestamp.milliseconds(noon) == "2026-11-22T11:19:14.500Z")
    #expect(Timestamp.seconds(of: "2026-11-22T11:19:14.500Z") == noon)
    for bad in ["", "2026-11-22", "2026-13-22T11:19:14Z", "2026-11-22T11:19:14+01:00", "2026-11-22T11:19:14.Z"] {
      #expect(Timestamp.seconds(of: bad) == nil)
    }
  }
}
