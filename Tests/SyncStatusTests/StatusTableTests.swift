import SyncStatus
import Testing
import UploadProtocol

@Suite("the status table")
struct StatusTableTests {
  private let recordings: [RecordingStatus] = {
    var open = recording("studio/day 1/a very long name of a recording é 録画.mkv", session: 1)
    open.isRecording = true
    open.lagSeconds = 12
    var failed = recording("b.wav", .failed, session: 2)
    failed.error = "the receiver refused it: 413\u{1B}[2J"
    return [
      recording("z.wav", .synced, written: 5, synced: 5, session: 3), open, failed,
      recording("a.wav", .paused, session: 4)
    ]
  }()

  @Test("the worst comes first, and errors stand below their recording")
  func order() throws {
    let lines = StatusTable(width: nil, usesColour: false).lines(overall(recordings), recordings, title: "/mnt")
    let marks = lines.compactMap { line in ["❌", "⏸", "⇪", "✓"].first { line.hasPrefix($0) } }
    #expect(marks == ["❌", "⏸", "⇪", "✓"])
    let failed = try #require(lines.firstIndex { $0.hasPrefix("❌") })
    #expect(lines[failed + 1] == #"    the receiver refused it: 413\u{1b}[2J"#)
  }

  @Test("no line is wider than the terminal", arguments: [20, 40, 60, 80, 100, 200])
  func widths(width: Int) {
    let table = StatusTable(width: width, usesColour: false)
    for line in table.lines(overall(recordings, .offline("down")), recordings, title: "/mnt") {
      #expect(DisplayWidth.of(line) <= width, "\(line)")
    }
  }

  @Test("at 80 columns a long name keeps its end, and its numbers are there")
  func eighty() throws {
    let lines = StatusTable(width: 80, usesColour: false).lines(overall(recordings), recordings, title: "/mnt")
    let line = try #require(lines.first { $0.hasPrefix("⇪") })
    #expect(line.contains("● …") && line.contains("録画.mkv") && line.contains("9.0 MiB / 20.0 MiB"))
    #expect(line.contains("12s"))
    #expect(DisplayWidth.of(line) == 80)
  }

  @Test("without a terminal no name is cut and there is no colour")
  func plain() {
    let text = StatusTable(width: nil, usesColour: false)
      .lines(overall(recordings), recordings, title: "/mnt").joined(separator: "\n")
    #expect(text.contains("● studio/day 1/a very long name of a recording é 録画.mkv"))
    #expect(!text.contains("\u{1B}"))
  }

  @Test("colours are those of the badges and always end")
  func colours() {
    let text = StatusTable(width: 80, usesColour: true)
      .lines(overall(recordings), recordings, title: "/mnt").joined(separator: "\n")
    for start in ["\u{1B}[34m", "\u{1B}[33m", "\u{1B}[32m", "\u{1B}[31m"] { #expect(text.contains(start)) }
    #expect(text.split(separator: "\u{1B}[0m", omittingEmptySubsequences: false).count == 9)
  }

  @Test("the head says destination, connection, what is safe, and what waits")
  func head() {
    var whole = overall(recordings, .offline("connection refused"))
    whole.isPaused = true
    whole.bytesPerSecondMax = 2 << 20
    let lines = StatusTable(width: nil, usesColour: false).lines(whole, recordings, title: "/mnt")
    #expect(lines[0] == "/mnt → http://nas:8090, offline: connection refused")
    #expect(lines[1].hasPrefix("Safe through "))
    #expect(lines[2] == "33.0 MiB in 34 chunks waiting · paused by you (reelfs resume) · limit 2.0 MiB/s")
  }

  @Test("rows beyond the most are counted, not dropped in silence")
  func rowsMax() {
    let table = StatusTable(width: 80, usesColour: false, rowsMax: 1)
    let lines = table.lines(overall(recordings), recordings, title: "/mnt")
    #expect(lines.last == "… and 3 more")
    #expect(lines.contains { $0.hasPrefix("❌") })
    #expect(!lines.contains { $0.hasPrefix("✓ SYNCED  ") })
  }

  @Test(
    "widths of characters are those of a terminal",
    arguments: [
      ("abc", 3), ("é", 1), ("e\u{301}", 1), ("録画", 4), ("❌", 2), ("✓", 1), ("⏸", 1), ("⇪", 1), ("👩‍👩‍👧", 2), ("", 0),
      ("❤️", 2), ("한", 2), ("█", 1)
    ])
  func displayWidth(text: String, width: Int) {
    #expect(DisplayWidth.of(text) == width)
  }

  @Test("fitting gives exactly the width asked for, also through wide characters")
  func fit() {
    #expect(DisplayWidth.fit("ab", to: 4) == "ab  ")
    #expect(DisplayWidth.fit("abcdef", to: 4) == "…def")
    #expect(DisplayWidth.fit("録画録画", to: 4) == " …画")
    #expect(DisplayWidth.fit("abc", to: 0) == "")
    #expect(DisplayWidth.cut("録画録画", to: 4) == "録…")
    #expect(DisplayWidth.wrap("all is well", to: 6) == ["all is", "well"])
    #expect(DisplayWidth.wrap("", to: 6) == [""])
    #expect(DisplayWidth.wrap("incredible ok", to: 6) == ["incre…", "ok"])
  }
}
