import Testing
import reelfs

@Suite("metered connections")
struct MeteringTests {
  @Test(
    "what NetworkManager says of the connection is understood",
    arguments: [
      ("u 1\n", Metering.Answer.metered), ("u 3\n", .metered), ("u 0\n", .unmetered), ("u 2\n", .unmetered),
      ("u 4\n", .unmetered), ("", .nobodyKnows), ("u 9\n", .nobodyKnows), ("s \"yes\"\n", .nobodyKnows)
    ])
  func answers(text: String, answer: Metering.Answer) {
    #expect(Metering.answer(text) == answer)
  }
}
