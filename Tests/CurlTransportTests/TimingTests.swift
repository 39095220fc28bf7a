import CurlTransport
import Testing
import UploadCore

@Suite("Retry-After")
struct RetryAfterTests {
  @Test("seconds", arguments: [("0", 0), ("7", 7), ("120", 120), ("99999999999999999999", 366 * 86_400)])
  func seconds(text: String, seconds: Int64) {
    #expect(RetryAfter.delay(in: HTTPAnswer(status: 503, retryAfter: text)) == .seconds(seconds))
  }

  @Test("a date counts from the answer's own date, so a wrong clock here does not matter")
  func date() {
    let answer = HTTPAnswer(
      status: 503, retryAfter: "Fri, 31 Dec 1999 23:59:59 GMT", date: "Fri, 31 Dec 1999 23:59:19 GMT")
    #expect(RetryAfter.delay(in: answer) == .seconds(40))
  }

  @Test("a date that is over means no delay")
  func pastDate() {
    let answer = HTTPAnswer(status: 503, retryAfter: "Fri, 31 Dec 1999 23:59:59 GMT")
    #expect(RetryAfter.delay(in: answer) == .zero)
  }

  @Test("anything else is no wish", arguments: ["", "soon", "-5", "1.5"])
  func nonsense(text: String) {
    #expect(RetryAfter.delay(in: HTTPAnswer(status: 503, retryAfter: text)) == nil)
  }

  @Test("without the header there is no wish")
  func missing() {
    #expect(RetryAfter.delay(in: HTTPAnswer(status: 503)) == nil)
  }
}

@Suite("Stall watch")
struct StallWatchTests {
  @Test("nothing moving for the timeout is a stall, and not a moment earlier")
  func stall() {
    var watch = StallWatch(timeout: .seconds(60), now: at(0))
    for second in 1..<60 { #expect(!stalled(&watch, at: at(Int64(second)), queued: nil)) }
    #expect(stalled(&watch, at: at(60), queued: nil))
  }

  @Test("a moved byte starts the timeout over")
  func moved() {
    var watch = StallWatch(timeout: .seconds(60), now: at(0))
    watch.moved(at: at(50))
    #expect(!stalled(&watch, at: at(109), queued: 10))
    #expect(stalled(&watch, at: at(110), queued: 10))
  }

  @Test("a shrinking send queue in the kernel is movement")
  func queue() {
    var watch = StallWatch(timeout: .seconds(60), now: at(0))
    var rest = 1_000
    for step in 1...40 {
      rest -= 1
      #expect(!stalled(&watch, at: at(Int64(step) * 15), queued: rest))
    }
    #expect(!stalled(&watch, at: at(659), queued: rest))
    #expect(stalled(&watch, at: at(660), queued: rest))
  }

  @Test("the kernel is asked every four seconds, not at every turn")
  func looks() {
    var watch = StallWatch(timeout: .seconds(60), now: at(0))
    var looks = 0
    for tenth in 0..<600 {
      _ = watch.isStalled(at: Instant(nanoseconds: Int64(tenth) * 100_000_000)) {
        looks += 1
        return 5
      }
    }
    #expect(14...16 ~= looks)
  }

  @Test("the next look is always ahead")
  func nextLook() {
    var watch = StallWatch(timeout: .milliseconds(1), now: at(0))
    for second in 1..<5 {
      _ = watch.isStalled(at: at(Int64(second)), queuedBytes: { nil })
      #expect(watch.nextLook > at(Int64(second)))
    }
  }

  private func stalled(_ watch: inout StallWatch, at now: Instant, queued: Int?) -> Bool {
    watch.isStalled(at: now, queuedBytes: { queued })
  }

  private func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }
}
