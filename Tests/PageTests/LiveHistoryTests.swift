import Foundation
import PageServing
import Testing

@Suite("The frames of a live page")
struct LiveHistoryTests {
  private func snapshot(_ head: String = "{}", _ items: [String: String] = [:], time: String = "T") -> PageSnapshot {
    PageSnapshot(time: time, head: Array(head.utf8), items: items.mapValues { Array($0.utf8) })
  }

  private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  @Test("who comes first gets the whole, in the format of server-sent events, and JSON in it")
  func whole() throws {
    var history = LiveHistory(epoch: "e")
    history.advance(to: snapshot(#"{"n":1}"#, ["b": "{}", "a": #"{"x":2}"#], time: "2026"), tellsTime: false)

    let (bytes, id) = history.frames(after: nil)

    #expect(text(bytes) == "event: snapshot\nid: e-1\ndata: {\"time\":\"2026\",\"head\":{\"n\":1},\"items\":{\"a\":{\"x\":2},\"b\":{}}}\n\n")
    #expect(id == "e-1")
  }

  @Test("afterwards only what has changed is told, also what is gone")
  func changes() {
    var history = LiveHistory(epoch: "e")
    history.advance(to: snapshot(#"{"n":1}"#, ["a": "1", "b": "2", "c": "3"]), tellsTime: false)
    history.advance(to: snapshot(#"{"n":1}"#, ["a": "1", "b": "4", "d": "5"]), tellsTime: false)

    #expect(
      text(history.frames(after: "e-1").bytes)
        == "event: change\nid: e-2\ndata: {\"time\":\"T\",\"changed\":{\"b\":4,\"d\":5},\"removed\":[\"c\"]}\n\n")
    #expect(history.frames(after: "e-2").bytes.isEmpty)
  }

  @Test("the same again makes no frame, unless the time is to be told")
  func quiet() {
    var history = LiveHistory(epoch: "e")
    history.advance(to: snapshot(), tellsTime: false)
    history.advance(to: snapshot(time: "U"), tellsTime: false)
    #expect(history.frames(after: "e-1").bytes.isEmpty)

    history.advance(to: snapshot(time: "V"), tellsTime: true)
    #expect(text(history.frames(after: "e-1").bytes).contains(#"{"time":"V"}"#))
  }

  @Test("who comes back with the last id gets what it missed; too far behind, or of another process: the whole")
  func returning() {
    var history = LiveHistory(epoch: "e")
    for number in 0...LiveHistory.framesMax + 5 {
      history.advance(to: snapshot("{}", ["a": "\(number)"]), tellsTime: false)
    }
    let last = LiveHistory.framesMax + 6

    #expect(text(history.frames(after: "e-\(last - 2)").bytes).components(separatedBy: "event: change").count == 3)
    for id in ["e-1", "f-\(last)", "e-\(last + 1)", "e-x", "nonsense", ""] {
      #expect(text(history.frames(after: id).bytes).hasPrefix("event: snapshot"), "\(id)")
    }
  }

  @Test("frames take a bounded amount of memory, however much changes")
  func bounded() {
    var history = LiveHistory(epoch: "e")
    let much = String(repeating: "1", count: LiveHistory.bytesMax / 2)
    for number in 0..<6 { history.advance(to: snapshot("{}", ["a": "\(number)" + much]), tellsTime: false) }

    #expect(text(history.frames(after: "e-3").bytes).hasPrefix("event: snapshot"))
    #expect(history.frames(after: "e-5").bytes.count < LiveHistory.bytesMax)
  }
}
