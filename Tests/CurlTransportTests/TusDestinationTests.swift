import CurlTransport
import Testing
import UploadCore
import UploadProtocol

@Suite("What a tus server's answers mean")
struct TusDestinationTests {
  private let mebibyte = ChunkLayout.chunkBytes

  @Test("after a restart an offset inside of a run goes on there, not at the run's beginning")
  func offsetInsideRun() throws {
    let talk = try TusTalk(chunks: 8)
    talk.begin(at: 5, versions: [1, 1, 1])
    let outcome = try talk.run(5..<8, [.head(1_500_000), .stored(to: 3 * mebibyte)])
    #expect(outcome == .runStored(talk.stored(5..<8), [RemoteFact("tus.appended", "8")]))
    #expect(talk.sent.map(\.method) == [.head, .patch])
    #expect(talk.header("Upload-Offset") == "1500000")
    #expect(talk.bodyCount == 3 * mebibyte - 1_500_000)
    #expect(talk.header("Upload-Checksum")?.hasPrefix("sha256 ") == true)
  }

  @Test("a run is journaled before its first byte, and is sent once that is done")
  func begun() throws {
    let talk = try TusTalk(chunks: 7)
    #expect(try talk.run(5..<7, [.head(0)]) == .advanced([RemoteFact("tus.begun", "5 1,1")]))
    // The offset is known by now.
    #expect(try talk.run(5..<7, [.stored(to: 2 * mebibyte)]) == .runStored(talk.stored(5..<7), [RemoteFact("tus.appended", "7")]))
    #expect(talk.header("Upload-Offset") == "0")
  }

  @Test("bytes of another version than the run that was begun cannot be taken back: it starts over")
  func otherBytes() throws {
    let talk = try TusTalk(chunks: 8)
    talk.begin(at: 5, versions: [1, 1, 1])
    talk.versions[6] = 2
    let outcome = try talk.run(5..<8, [.head(1_500_000), .answer(204)])
    #expect(outcome.rolledBackTo == 5)
    #expect(talk.sent.map(\.method) == [.head, .delete])
    #expect(talk.facts["tus.upload"] == nil)
  }

  @Test("a server that lost acknowledged bytes gets them again from the chunk in which it ends")
  func rolledBack() throws {
    let talk = try TusTalk(chunks: 10)
    talk.facts["tus.appended"] = "8"
    talk.begin(at: 8, versions: [1])
    let outcome = try talk.run(8..<9, [.head(1_500_000)])
    #expect(outcome == .rolledBack(to: 6, [RemoteFact("tus.appended", "6"), RemoteFact("tus.begun", "6 1")]))
    #expect(try talk.run(6..<7, [.stored(to: 2 * mebibyte)]) == .runStored(talk.stored(6..<7), [RemoteFact("tus.appended", "7")]))
    #expect(talk.header("Upload-Offset") == "1500000")
  }

  @Test("an upload that is gone is made anew", arguments: [404, 410, 403], [true, false])
  func gone(status: Int, isAtHead: Bool) throws {
    let talk = try TusTalk(chunks: 8)
    talk.begin(at: 5, versions: [1, 1, 1])
    let outcome = try talk.run(5..<8, isAtHead ? [.answer(status)] : [.head(0), .answer(status)])
    #expect(outcome.rolledBackTo == 5)
    #expect(talk.facts["tus.upload"] == nil)
    #expect(try talk.announce([.created("new")]) == .advanced(talk.creation("\(talk.base)new")))
  }

  @Test("after an answer that left it open how far it came the offset is asked for again")
  func conflict() throws {
    for (answer, isExpected): (TusTalk.Scripted, (TransferOutcome) -> Bool) in [
      (.answer(409), { $0 == .retryable("Refused", after: nil) }),
      (.answer(423), { $0 == .retryable("the upload is locked by an earlier request: Refused", after: .seconds(2)) }),
      (.answer(423, ["retry-after": "7"]), { $0 == .retryable("the upload is locked by an earlier request: Refused", after: .seconds(7)) }),
      (.answer(460), { $0 == .corrupted("the bytes arrived damaged: Refused") }),
      (.answer(400, words: "ERR_UPLOAD_INTERRUPTED: upload has been interrupted"), {
        $0 == .retryable("ERR_UPLOAD_INTERRUPTED: upload has been interrupted", after: .seconds(1)) }),
      (.answer(429, ["retry-after": "3"]), { $0 == .throttled("Refused", after: .seconds(3)) }),
      (.answer(507), { if case .blocked(.full, _) = $0 { true } else { false } }),
      (.answer(401), { if case .blocked(.credentials, _) = $0 { true } else { false } }),
      (.answer(307, ["location": "http://elsewhere/"]), { if case .blocked(.configuration, _) = $0 { true } else { false } }),
      (.answer(204), { if case .retryable = $0 { true } else { false } }),
      (.answer(204, ["upload-offset": "999999999"]), { if case .retryable = $0 { true } else { false } }),
      (.lost, { $0.isUnreachable }),
    ] {
      let talk = try TusTalk(chunks: 8)
      talk.begin(at: 5, versions: [1, 1, 1])
      let outcome = try talk.run(5..<8, [.head(0), answer])
      #expect(isExpected(outcome), "\(answer): \(outcome)")
      #expect(talk.facts["tus.upload"] != nil)
      let resumed = try talk.run(5..<8, [.head(mebibyte), .stored(to: 3 * mebibyte)])
      #expect(resumed == .runStored(talk.stored(5..<8), [RemoteFact("tus.appended", "8")]))
      #expect(talk.header("Upload-Offset") == String(mebibyte))
    }
  }

  @Test("413 halves the requests until they are taken, down to a limit below which it is about the recording")
  func tooLarge() throws {
    let talk = try TusTalk(chunks: 21)
    talk.begin(at: 5, versions: [UInt32](repeating: 1, count: 16))
    let quarters = (1...4).map { TusTalk.Scripted.stored(to: $0 * 4 * mebibyte) }
    let outcome = try talk.run(5..<21, [.head(0), .answer(413), .answer(413)] + quarters)
    #expect(outcome == .runStored(talk.stored(5..<21), [RemoteFact("tus.appended", "21")]))
    #expect(talk.sent.dropFirst().map { $0.body?.count } == [16, 8, 4, 4, 4, 4].map { $0 * mebibyte })

    let small = try TusTalk(chunks: 21)
    small.begin(at: 5, versions: [UInt32](repeating: 1, count: 16))
    guard case .rejected = try small.run(5..<21, [.head(0)] + [TusTalk.Scripted](repeating: .answer(413), count: 9)) else {
      Issue.record("a server that takes not even 64 KiB")
      return
    }
    #expect(small.bodyCount == 64 << 10)
  }

  @Test("where only small requests are taken, a run goes through in several transfers, each of which gets further")
  func smallRequests() throws {
    let talk = try TusTalk(chunks: 21)
    talk.begin(at: 5, versions: [UInt32](repeating: 1, count: 16))
    let piece = 64 << 10
    var offset = 0
    var answers: [TusTalk.Scripted] = [.head(0)] + [TusTalk.Scripted](repeating: .answer(413), count: 8)
    var outcome = TransferOutcome.advanced([])
    var transfers = 0
    while outcome == .advanced([]), transfers < 20 {
      let count = min(24 - (transfers == 0 ? 8 : 0), (16 * mebibyte - offset) / piece)
      for _ in 0..<count {
        offset += piece
        answers.append(.stored(to: offset))
      }
      outcome = try talk.run(5..<21, answers)
      answers = []
      transfers += 1
    }
    #expect(outcome == .runStored(talk.stored(5..<21), [RemoteFact("tus.appended", "21")]))
    #expect(transfers == 11)
  }

  @Test("when only the answer to the joining was lost it is joined again, and then complete")
  func lostFinalAnswer() throws {
    let talk = try TusTalk(chunks: 7, appended: 7, isFinished: true)
    #expect(try talk.complete([.stored(to: 2 * mebibyte)]) == .advanced([RemoteFact("tus.length", String(2 * mebibyte))]))
    #expect(talk.header("Upload-Length") == String(2 * mebibyte))
    #expect(try talk.complete([.head(2 * mebibyte), .created("/files/head")]) == .advanced([
      RemoteFact("tus.head", "1,1,1,1,1 http://tus.example/files/head")
    ]))
    let head = 5 * mebibyte
    #expect(try talk.complete([.head(2 * mebibyte), .head(0), .stored(to: head), .lost]).isUnreachable)
    let whole = TusTalk.Scripted.answer(200, ["upload-length": String(7 * mebibyte)], words: "")
    let outcome = try talk.complete([.head(2 * mebibyte), .head(head), .created("whole"), whole])
    #expect(outcome == .runStored(talk.stored(0..<5), [RemoteFact("tus.final", "9 http://tus.example/files/whole")]))
    #expect(talk.sent[2].headers.contains("Upload-Concat: final;/files/head /files/tail"))
    #expect(talk.sent[3].method == .head && talk.sent[3].url == talk.base + "whole")
    #expect(try talk.complete([]) == .completed(revision: 9))
  }

  @Test("what a server joined and is not as long as the recording is not the recording: it is ended, and all is sent again")
  func joinedWrong() throws {
    func joined(_ answer: TusTalk.Scripted, _ more: [TusTalk.Scripted] = []) throws -> (TransferOutcome, TusTalk) {
      let talk = try TusTalk(chunks: 7, appended: 7, isFinished: true)
      talk.facts["tus.length"] = String(2 * mebibyte)
      talk.facts["tus.head"] = "1,1,1,1,1 \(talk.base)head"
      return (
        try talk.complete([.head(2 * mebibyte), .head(5 * mebibyte), .created("whole"), answer] + more), talk)
    }

    let (outcome, talk) = try joined(
      .answer(200, ["upload-length": String(7 * mebibyte + 1)], words: ""), [.answer(204), .answer(204)])
    #expect(outcome.rolledBackTo == 5)
    #expect(talk.sent.suffix(2).map(\.url) == [talk.base + "whole", talk.base + "tail"])
    #expect(talk.facts["tus.final"] == nil && talk.facts["tus.head"] == nil)
    // Who does not say how long it is is believed; who does not answer is asked again.
    for silent in [TusTalk.Scripted.head(7 * mebibyte), .answer(404), .answer(403)] {
      guard case .runStored = try joined(silent).0 else {
        Issue.record("\(silent) is not believed")
        return
      }
    }
    #expect(try joined(.lost).0.isUnreachable)
  }

  @Test("when the last answer of a small recording was lost no byte is sent again")
  func lostSmallAnswer() throws {
    let talk = try TusTalk(chunks: 2, isFinished: true)
    talk.facts = [:]
    #expect(try talk.announce([]) == .announced(TusTalk.announcement.facts))
    #expect(try talk.complete([.created("small")]) == .advanced([RemoteFact("tus.whole", "1,1 \(talk.base)small")]))
    #expect(talk.header("Upload-Length") == String(2 * mebibyte))
    #expect(talk.header("Upload-Metadata")?.contains("relativePath dGFrZXMvb25lLndhdg==") == true)
    #expect(try talk.complete([.head(0), .lost]).isUnreachable)
    #expect(try talk.complete([.head(2 * mebibyte)]) == .runStored(talk.stored(0..<2), [RemoteFact("tus.final", "9 \(talk.base)small")]))
  }

  @Test("a head that was sent to be joined is not taken for the recording when it is cut to its head")
  func cutToHead() throws {
    let talk = try TusTalk(chunks: 5, isFinished: true)
    talk.facts["tus.head"] = "1,1,1,1,1 \(talk.base)head"
    #expect(try talk.complete([.created("small")]) == .advanced([RemoteFact("tus.whole", "1,1,1,1,1 \(talk.base)small")]))
    #expect(talk.header("Upload-Concat") == nil)
  }

  @Test("a length that is an exact multiple of the chunk size is declared without a byte, and verified")
  func exactMultiple() throws {
    let talk = try TusTalk(chunks: 8, appended: 8, isFinished: true)
    #expect(try talk.complete([.stored(to: 3 * mebibyte)]) == .advanced([RemoteFact("tus.length", String(3 * mebibyte))]))
    #expect(talk.bodyCount == 0 && talk.header("Upload-Offset") == String(3 * mebibyte))
    #expect(talk.header("Upload-Checksum") == nil)
    // What the server says it has is believed more than what was receipted.
    #expect(try talk.complete([.head(3 * mebibyte - 1), .answer(204)]).rolledBackTo == 5)
  }

  @Test("a recording that was cut at a chunk's end after it was appended is uploaded anew, not declared for ever")
  func cutAfterAppending() throws {
    let talk = try TusTalk(chunks: 6, appended: 8, isFinished: true)
    let outcome = try talk.complete([.answer(409), .head(3 * mebibyte), .answer(204)])
    #expect(outcome.rolledBackTo == 5)
    #expect(talk.sent.last?.method == .delete)
  }

  @Test("when the answer to the declaration of the length was lost, it is not refused for being declared again")
  func declaredTwice() throws {
    let talk = try TusTalk(chunks: 8, appended: 8, isFinished: true)
    let length = String(3 * mebibyte)
    let head = TusTalk.Scripted.answer(200, ["upload-offset": length, "upload-length": length], words: "")
    let refusal = TusTalk.Scripted.answer(400, words: "missing or invalid Upload-Length header")
    #expect(try talk.complete([refusal, head]) == .advanced([RemoteFact("tus.length", length)]))
    // As if that had been lost as well.
    talk.facts["tus.length"] = nil
    guard case .rejected = try talk.complete([refusal, .head(3 * mebibyte)]) else {
      Issue.record("a server that has no deferred lengths after all")
      return
    }
  }

  @Test("a recording that grows after the answer to the declaration of its length was lost gets a new upload, and does not fail")
  func grownAfterDeclaration() throws {
    let talk = try TusTalk(chunks: 8, appended: 7, isFinished: true)
    talk.begin(at: 7, versions: [1])
    _ = try talk.run(7..<8, [.head(2 * mebibyte), .stored(to: 3 * mebibyte)])
    #expect(try talk.complete([.lost]).isUnreachable)

    talk.isFinished = false
    talk.versions.append(1)
    let length = String(3 * mebibyte)
    let head = TusTalk.Scripted.answer(200, ["upload-offset": length, "upload-length": length], words: "")
    #expect(try talk.run(8..<9, [head]) == .advanced([RemoteFact("tus.length", length)]))
    #expect(try talk.run(8..<9, [.answer(204)]).rolledBackTo == 5)
    #expect(talk.sent.last?.method == .delete)
  }

  @Test(
    "a Location may be relative",
    arguments: [
      ("abc", "http://tus.example/files/abc"), ("/up/abc", "http://tus.example/up/abc"),
      ("//other.example/abc", "http://other.example/abc"), ("https://other.example/abc", "https://other.example/abc"),
    ])
  func location(location: String, url: String) throws {
    let talk = try TusTalk(chunks: 8)
    talk.facts = [:]
    #expect(try talk.announce([.created(location)]) == .advanced(talk.creation(url)))
    #expect(talk.header("Upload-Concat") == "partial" && talk.header("Upload-Defer-Length") == "1")
    _ = try talk.run(5..<7, [])
    #expect(try talk.run(5..<7, [.stored(to: 2 * mebibyte)]) == .runStored(talk.stored(5..<7), [RemoteFact("tus.appended", "7")]))
    #expect(talk.sent.last?.url == url)
  }

  @Test("a synced recording's new name is told to our receiver, and to nobody else: tus has no words for it")
  func renamedAfterSync() throws {
    let talk = try TusTalk(chunks: 8, appended: 8, isFinished: true)
    (talk.isSynced, talk.facts["tus.final"]) = (true, "8 \(talk.base)whole")
    let announced = TransferOutcome.announced(TusTalk.announcement.facts)
    #expect(try talk.announce([]) == announced)

    try talk.probe(and: ",reelfs-metadata")
    for answer in [TusTalk.Scripted.answer(204), .answer(404), .answer(410)] {
      #expect(try talk.announce([answer]) == announced)
      #expect(talk.sent.map(\.method) == [.put] && talk.sent.last?.url == talk.base + "whole")
      #expect(talk.header("Upload-Metadata")?.contains("relativePath dGFrZXMvb25lLndhdg==") == true)
    }
    guard case .retryable = try talk.announce([.answer(500)]) else {
      Issue.record("a failure counts as told")
      return
    }
  }

  @Test("a server that defers lengths in name only is taken for one that does not, also after it is asked again")
  func defersInNameOnly() throws {
    let talk = try TusTalk(chunks: 8)
    talk.begin(at: 5, versions: [1, 1, 1])
    let words = "Upload-Length header required for deferred-length PATCH"
    let outcome = try talk.run(5..<8, [.head(0), .answer(400, words: words)])
    let waiting = TransferGeometry.appended(headChunks: 0, runChunksMax: TusCapabilities.runChunksMax, waitsForClose: true)
    #expect(outcome.rolledBackTo == 5 && talk.geometry == waiting)
    try talk.probe()
    #expect(talk.geometry == waiting)
    // While it is written nothing is created: its length is not known.
    #expect(try talk.announce([]) == .announced(TusTalk.announcement.facts))
    talk.isFinished = true
    let created = try talk.run(0..<8, [.created("whole")])
    #expect(created == .advanced(talk.creation("\(talk.base)whole", headChunks: 0) + [RemoteFact("tus.length", String(8 * mebibyte))]))
    #expect(talk.header("Upload-Length") == String(8 * mebibyte))
  }

  @Test("what was begun at such a server is gone on with by the next process, which knows nothing of it", arguments: [true, false])
  func begunWithLength(isUnchanged: Bool) throws {
    let talk = try TusTalk(chunks: 8, isFinished: true)
    talk.facts = [
      "tus.head_chunks": "0", "tus.upload": talk.base + "whole", "tus.appended": "6",
      "tus.length": String((isUnchanged ? 8 : 7) * mebibyte),
    ]
    let outcome = try talk.run(5..<8, isUnchanged ? [] : [.answer(204)])
    #expect(isUnchanged ? outcome == .advanced([]) : outcome.rolledBackTo == 0)
    guard isUnchanged else { return }
    #expect(talk.geometry == .appended(headChunks: 0, runChunksMax: TusCapabilities.runChunksMax, waitsForClose: true))
    talk.begin(at: 6, versions: [1, 1])
    #expect(try talk.run(6..<8, [.head(6 * mebibyte), .stored(to: 8 * mebibyte)]) == .runStored(talk.stored(6..<8), [RemoteFact("tus.appended", "8")]))
  }
}

extension TransferOutcome {
  fileprivate var rolledBackTo: Int? { if case .rolledBack(let index, _) = self { index } else { nil } }
}
