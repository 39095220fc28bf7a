import Testing
import reelfs

@Suite("desktop notices")
struct DesktopNoticesTests {
  @Test("notices that come together are one, the urgent kinds first")
  func gathered() {
    let texts = DesktopNotices.texts(of: [
      .synced("a.wav"), .paused("401"), .synced("b.wav"), .failed("c.wav", "too large"), .stalled("d.wav"), .paused("507"),
    ])
    #expect(texts.map(\.summary) == ["❌ c.wav", "Nothing more is written", "⏸ Uploads wait", "✓ 2 recordings"])
    #expect(texts.map(\.body) == ["too large", "d.wav", "507", "stored at the destination"])
    #expect(texts.map(\.isUrgent) == [true, true, false, false])
    #expect(DesktopNotices.texts(of: [.synced("a.wav")]).map(\.summary) == ["✓ a.wav"])
  }
}
