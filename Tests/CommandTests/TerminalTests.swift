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
    #expect(Terminal(isTerminal: true, size: nil, environment: [:]).columns == 80)
  }

  @Test("the pace is learnt from successive snapshots, and what is left from the pace")
  func pace() throws {
    var meter = PaceMeter()
    var last: [RecordingStatus] = []
    for second in 0..<3 {
      last = [recording("a", .uploading, written: 10 << 20, synced: Int64(second) << 20)]
      var overall = FakeMount.overall(last)
      overall.time += Double(second)
      meter.add(StatusSnapshot(overall: overall, recordings: last))
      #expect(meter.paces(last).isEmpty == (second == 0))
    }
    let pace = try #require(meter.paces(last)[SessionID(number: 1)])
    #expect(pace.bytesPerSecond == 1_048_576)
    #expect(pace.secondsLeft == 8)
    last[0].isRecording = true
    #expect(meter.paces(last)[SessionID(number: 1)]?.secondsLeft == nil)
  }

  @Test("a recording that stands still, or lost stored bytes to a rewrite, shows no pace")
  func noPace() {
    var meter = PaceMeter()
    for (second, synced) in [(0, Int64(9)), (1, 5)] {
      let recordings = [recording("a", .uploading, synced: synced)]
      var overall = FakeMount.overall(recordings)
      overall.time += Double(second)
      meter.add(StatusSnapshot(overall: overall, recordings: recordings))
      #expect(meter.paces(recordings).isEmpty)
    }
  }
}
