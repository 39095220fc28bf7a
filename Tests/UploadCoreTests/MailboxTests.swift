import Testing
import UploadCore

@Suite("Mailbox")
struct MailboxTests {
  @Test("only the first post has to wake the reader")
  func onlyTheFirstPostWakes() {
    let mailbox = Mailbox<Int>()

    #expect(mailbox.post(1))
    #expect(!mailbox.post(2))
    #expect(mailbox.drain() == [1, 2])
    #expect(mailbox.drain().isEmpty)
    #expect(mailbox.post(3))
  }

  @Test("it is full from its limit on, still takes what must be told, and has room again when it was drained")
  func full() {
    let mailbox = Mailbox<Int>(limit: 2)
    mailbox.post(1)
    #expect(!mailbox.isFull)
    mailbox.post(2)
    #expect(mailbox.isFull)
    mailbox.post(3)

    #expect(mailbox.drain() == [1, 2, 3])
    #expect(!mailbox.isFull)
  }

  @Test("nothing is lost or reordered between many posters and one reader")
  func manyPosters() async {
    let mailbox = Mailbox<(poster: Int, number: Int)>()
    var seen = [[Int]](repeating: [], count: 4)

    await withTaskGroup { group in
      for poster in 0..<4 {
        group.addTask { for number in 0..<1_000 { mailbox.post((poster, number)) } }
      }
      await group.waitForAll()
    }
    for message in mailbox.drain() { seen[message.poster].append(message.number) }

    #expect(seen.allSatisfy { $0 == Array(0..<1_000) })
  }
}
