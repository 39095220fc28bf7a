import Foundation
import SyncStatus
import Testing
import UploadProtocol
import reelfs

@Suite("reelfs status --watch")
struct WatchModelTests {
  private static let place = MountPlace(root: MountRoot(path: "/mnt/rec"), target: .all)

  /// Two snapshots, a second apart, so that there are paces.
  private static func model(_ connection: DestinationState = .online, others: Int = 0) -> WatchModel {
    var model = WatchModel(places: [place])
    for second in 0...1 {
      var open = recording("day 1/studio é 録画 take 7.mkv", .uploading, synced: Int64(8 + second) << 20, session: 1)
      open.isRecording = true
      open.lagSeconds = 12
      let copied = recording("interview.wav", .uploading, written: 900 << 20, synced: Int64(500 + second) << 20, session: 2)
      var failed = recording("broken.mp4", .failed, session: 3)
      failed.error = "the receiver refused it: 413 Payload Too Large, and nothing but a person can change that"
      var all = [
        open, copied, failed, recording("held.wav", .paused, session: 4), recording("done.flac", .synced, written: 5, session: 5),
      ]
      for number in 0..<others {
        all.append(recording("z\(100 + number).wav", .synced, written: 5, session: Int64(6 + number)))
      }
      var overall = FakeMount.overall(all, connection)
      overall.time += Double(second)
      model.add(StatusSnapshot(overall: overall, recordings: all), to: 0)
    }
    return model
  }

  private static func screen(_ model: inout WatchModel, _ columns: Int, _ rows: Int) -> String {
    model.lines(columns: columns, rows: rows, usesColour: false)
      .map { line in String(line.reversed().drop { $0 == " " }.reversed()) }
      .joined(separator: "\n")
  }

  /// docs/pictures holds what is expected, so that people see it too. `REELFS_DRAW=1` draws it anew: look at it then.
  @Test(
    "the screens are those of docs/pictures: at 80 columns everything on a line, at 120 more room, at 40 badge, name and size",
    arguments: [(80, 18, true, DestinationState.online), (120, 15, false, .offline("connection refused")), (40, 16, false, .online)])
  func pictures(columns: Int, rows: Int, hasChoice: Bool, connection: DestinationState) throws {
    var model = Self.model(connection)
    if hasChoice { _ = model.press(.down) }
    let screen = Self.screen(&model, columns, rows) + "\n"
    let path = "docs/pictures/watch-\(columns).txt"
    if ProcessInfo.processInfo.environment["REELFS_DRAW"] == "1" {
      try Data(screen.utf8).write(to: DocumentTests.root.appending(path: path))
    }
    #expect(try DocumentTests.text(path) == screen)
  }

  @Test("no line is wider than the window, and there are as many as it has rows", arguments: [1, 8, 20, 40, 79, 80, 120, 200], [1, 3, 9, 24])
  func fits(columns: Int, rows: Int) {
    var model = Self.model(.offline("down"), others: 40)
    for _ in 0..<30 { _ = model.press(.down) }
    let lines = model.lines(columns: columns, rows: rows, usesColour: false)
    #expect(lines.count == rows)
    for line in lines { #expect(DisplayWidth.of(line) <= columns, "\(line)") }
  }

  @Test("the chosen recording stays in sight, and what is hidden is counted")
  func scrolling() {
    var model = Self.model(others: 40)
    for _ in 0..<30 { _ = model.press(.down) }
    let down = Self.screen(&model, 80, 16)
    #expect(down.contains("▸ ✓ SYNCED  z124.wav") && down.contains("more above") && down.contains("more below"))
    _ = model.press(.home)
    let top = Self.screen(&model, 80, 16)
    #expect(top.contains("▸ ❌ FAILED") && !top.contains("more above"))
    _ = model.press(.end)
    let end = Self.screen(&model, 80, 16)
    #expect(end.contains("▸ ✓ SYNCED  z139.wav") && !end.contains("more below"))
  }

  @Test("keys act on everything, or on the chosen recording")
  func keys() {
    var model = Self.model()
    #expect(model.press(.character("p")) == .send([.init(part: 0, request: .pause(.all))]))
    #expect(model.message == "paused (r resumes)")
    #expect(
      model.press(.character("t"))
        == .send([
          .init(part: 0, request: .processUploads(.session(SessionID(number: 3)), force: true)),
          .init(part: 0, request: .processUploads(.all, force: false)),
        ]))
    #expect(model.press(.down) == .none)
    #expect(model.press(.character("t")) == .send([.init(part: 0, request: .processUploads(.session(SessionID(number: 3)), force: true))]))
    #expect(model.press(.down) == .none)
    #expect(model.press(.character("r")) == .send([.init(part: 0, request: .resume(.session(SessionID(number: 4))))]))
    #expect(model.press(.escape) == .none)
    #expect(model.press(.character("r")) == .send([.init(part: 0, request: .resume(.all))]))
    #expect(model.press(.character("x")) == .none)
    #expect(model.press(.character("q")) == .quit)
    #expect(model.press(.suspend) == .suspend)
  }

  @Test("a chosen recording that is gone is chosen no longer: keys never act on something else")
  func vanished() {
    var model = Self.model()
    _ = model.press(.down)
    let left = [recording("interview.wav", .uploading, session: 2)]
    model.add(StatusSnapshot(overall: FakeMount.overall(left), recordings: left), to: 0)
    #expect(model.press(.character("p")) == .send([.init(part: 0, request: .pause(.all))]))
  }

  @Test("a mount that stops answering says so above what was known last")
  func trouble() {
    var model = Self.model()
    model.add(trouble: "the mount at /mnt/rec is dead: run reelfs unmount /mnt/rec, then mount again", to: 0)
    let screen = Self.screen(&model, 80, 24)
    #expect(screen.hasPrefix("⚠ the mount at /mnt/rec is dead") && screen.contains("terview.wav"))
  }

  @Test("hostile names and errors cannot move the cursor")
  func hostile() {
    var model = WatchModel(places: [Self.place])
    var bad = recording("a\u{1B}[2Jb\n.wav", .failed)
    bad.error = "\u{1B}]0;owned\u{07}"
    model.add(StatusSnapshot(overall: FakeMount.overall([bad]), recordings: [bad]), to: 0)
    _ = model.press(.down)
    for line in model.lines(columns: 80, rows: 24, usesColour: false) {
      #expect(!line.unicodeScalars.contains { $0.value < 32 || $0.value == 127 })
    }
  }
}

@Suite("the screen and the keys")
struct ScreenTests {
  @Test("only lines that changed are written")
  func change() {
    func line(_ row: Int, _ text: String) -> String { "\u{1B}[\(row);1H\u{1B}[K\(text)" }
    var screen = Screen()
    #expect(screen.change(to: ["one", "two"], columns: 10, rows: 3) == "\u{1B}[2J" + line(1, "one") + line(2, "two"))
    #expect(screen.change(to: ["one", "two"], columns: 10, rows: 3) == "")
    #expect(screen.change(to: ["one", "2"], columns: 10, rows: 3) == line(2, "2"))
    #expect(screen.change(to: ["one"], columns: 10, rows: 3) == line(2, ""))
    #expect(screen.change(to: ["one"], columns: 11, rows: 3) == "\u{1B}[2J" + line(1, "one"))
    #expect(screen.change(to: ["one", "two"], columns: 11, rows: 1) == "\u{1B}[2J" + line(1, "one"))
  }

  @Test(
    "keys and escape sequences are told apart, also in one read",
    arguments: [
      ("p", [Key.character("p")]), ("\u{1B}[A", [.up]), ("\u{1B}OB", [.down]), ("\u{1B}", [.escape]),
      ("\u{1B}[5~\u{1B}[6~", [.pageUp, .pageDown]), ("\u{1B}[H\u{1B}[4~", [.home, .end]), ("\u{03}", [.quit]),
      ("\u{1A}", [.suspend]), ("\u{1B}[1;5Aq", [.character("q")]), ("\u{1B}[", []), ("jé", [.character("j")]),
    ])
  func keys(text: String, keys: [Key]) {
    #expect(Key.parse(Array(text.utf8)) == keys)
  }
}
