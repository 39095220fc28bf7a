import SyncStatus
import Testing
import UploadProtocol
import reelfs

@Suite("the terminal")
struct TerminalTests {
  @Test("no terminal: no colour, no width, whatever the environment says")
  func pipe() {
    let terminal = Terminal(isTerminal: false, size: (120, 40), environment: ["COLUMNS": "50"])
    #expect(terminal.columns == nil)
    #expect(!terminal.usesColour)
  }

  @Test(
    "COLUMNS wins over the window, and nonsense in it is ignored",
    arguments: [
      ("50", 50), ("0", 120), ("-1", 120), ("wide", 120), ("", 120)
    ])
  func columns(text: String, columns: Int) {
    let terminal = Terminal(isTerminal: true, size: (120, 40), environment: ["COLUMNS": text])
    #expect(terminal.columns == columns)
    #expect(terminal.rows == 40)
  }

  @Test("NO_COLOR and a dumb terminal turn colours off")
  func colours() {
    #expect(Terminal(isTerminal: true, size: nil, environment: [:]).usesColour)
    #expect(Terminal(isTerminal: true, size: nil, environment: ["NO_COLOR": ""]).usesColour)
    #expect(!Terminal(isTerminal: true, size: nil, environment: ["NO_COLOR": "1"]).usesColour)
    #expect(!Terminal(isTerminal: true, size: nil, environment: ["TERM": "dumb"]).usesColour)
    #expect(!Terminal(isTerminal: true, size: nil, environment: ["TERM": "dumb"]).canDraw)
    #expect(Terminal(isTerminal: true, size: nil, environment: [:]).columns == 80)
  }

  @Test("the pace is learnt from successive snapshots, and what is left from the pace")
  func pace() throws {
    var meter = PaceMeter()
    var snapshot = StatusSnapshot(overall: FakeMount.overall([]), recordings: [])
    for second in 0..<3 {
      let last = [recording("a", .uploading, written: 10 << 20, synced: Int64(second) << 20)]
      var overall = FakeMount.overall(last)
      overall.time += Double(second)
      snapshot = StatusSnapshot(overall: overall, recordings: last)
      meter.add(snapshot)
      #expect(meter.paces(snapshot).recordings.isEmpty == (second == 0))
    }
    let pace = try #require(meter.paces(snapshot).recordings[SessionID(number: 1)])
    #expect(pace.bytesPerSecond == 1_048_576)
    #expect(pace.secondsLeft == 8)
    #expect(meter.paces(snapshot).total == pace)
    snapshot.recordings[0].isRecording = true
    #expect(meter.paces(snapshot).recordings[SessionID(number: 1)]?.secondsLeft == nil)
  }

  @Test("a recording that stands still, or lost stored bytes to a rewrite, shows no pace")
  func noPace() {
    var meter = PaceMeter()
    for (second, synced) in [(0, Int64(9)), (1, 5)] {
      let recordings = [recording("a", .uploading, synced: synced)]
      var overall = FakeMount.overall(recordings)
      overall.time += Double(second)
      let snapshot = StatusSnapshot(overall: overall, recordings: recordings)
      meter.add(snapshot)
      #expect(meter.paces(snapshot) == WatchTable.Paces())
    }
  }
}
