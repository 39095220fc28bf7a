import SyncStatus
import Testing

@Suite("badges")
struct BadgeTests {
  @Test(
    "each state has its mark and its colour",
    arguments: [
      (SyncState.uploading, "⇪ 45%", BadgeColour.blue), (.paused, "⏸ PAUSED", .yellow),
      (.synced, "✓ SYNCED", .green), (.failed, "❌ FAILED", .red)
    ])
  func marks(state: SyncState, text: String, colour: BadgeColour) {
    let badge = Badge(of: recording("a.wav", state))
    #expect(badge.text == text)
    #expect(badge.colour == colour)
  }

  @Test(
    "progress is rounded down and reaches 100 only with synced",
    arguments: [
      (Int64(0), Int64(0), 0), (3, 1, 33), (1_000, 999, 99), (1_000, 1_000, 99), (10, 20, 99), (10, -1, 0),
      (Int64.max, Int64.max - 1, 99), (Int64.max, Int64.max / 2, 49)
    ])
  func progress(written: Int64, synced: Int64, percent: Int) {
    #expect(recording("a", .uploading, written: written, synced: synced).progress == percent)
    #expect(recording("a", .synced, written: written, synced: synced).progress == 100)
  }
}
