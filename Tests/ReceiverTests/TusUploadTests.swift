import Foundation
import HTTPTypes
import Logging
import Receiver
import Testing

@Suite("tus uploads become recordings")
struct TusUploadTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("OPTIONS says what there is, without token and version")
  func options() async throws {
    try await withReceiver(on: folder, token: "secret") { uploader async throws in
      for path in ["/files", "/files/", "/files/00112233445566778899aabbccddeeff"] {
        let answer = try await uploader.send(.options, path)
        #expect(answer.status == 204)
        #expect(answer.value("Tus-Version") == "1.0.0")
        #expect(answer.value("Tus-Resumable") == "1.0.0")
        #expect(answer.value("Tus-Checksum-Algorithm") == "sha1,sha256")
        #expect(answer.number("Tus-Max-Size") == 10_000_000 << 20)
        #expect(
          answer.value("Tus-Extension")
            == "creation,creation-with-upload,creation-defer-length,checksum,termination,expiration,concatenation,reelfs-metadata")
      }
      #expect(try await uploader.send(.options, "/files/", ["Authorization": "Bearer wrong"]).status == 401)
      let refused = try await uploader.tus(.post, "/files/", ["Upload-Length": "1"])
      #expect(refused.status == 401)
      #expect(refused.value("Tus-Resumable") == "1.0.0")
    }
  }

  @Test(
    "whatever the size and however it is cut, the recording has its bytes",
    arguments: [0, 1, mebibyte - 1, mebibyte, mebibyte + 1, 3 * mebibyte + 17], [300_001, mebibyte, 5 * mebibyte])
  func sizes(size: Int, step: Int) async throws {
    let recording = noise(size, seed: 1)
    try await withReceiver(on: folder) { uploader async throws in
      let url = try await uploader.create(size, named: "take.wav")
      var offset = 0
      while offset < size {
        let part = Array(recording[offset..<min(size, offset + step)])
        let answer = try await uploader.patch(url, at: offset, part)
        #expect(answer.status == 204)
        offset += part.count
        #expect(answer.number("Upload-Offset") == offset)
        #expect((answer.value("Upload-Expires") == nil) == (offset == size))
        #expect(try await uploader.offset(url) == offset)
      }
      #expect(try await uploader.send(.get, "/recordings/tus/take.wav").bytes == recording)
    }
    #expect(folder.bytes("recordings/tus/take.wav") == recording)
    #expect(try verify().isSound)
  }

  @Test("PUT gives an upload other metadata, and its recording another name, before and after it is whole")
  func renamed() async throws {
    @Sendable func named(_ name: String) -> [String: String] { ["Upload-Metadata": "filename \(base64(name))"] }
    try await withReceiver(on: folder) { uploader async throws in
      let url = try await uploader.create(5, named: "first.wav")
      #expect(try await uploader.tus(.put, url, named("second.wav")).status == 204)
      #expect(try await uploader.patch(url, at: 0, Array("bytes".utf8)).status == 204)
      #expect(folder.bytes("recordings/tus/second.wav") == Array("bytes".utf8))

      for _ in 0..<2 { #expect(try await uploader.tus(.put, url, named("day/third.wav")).status == 204) }

      #expect(folder.bytes("recordings/tus/day/third.wav") == Array("bytes".utf8))
      #expect(!folder.exists("recordings/tus/second.wav"))
      #expect(try await uploader.tus(.head, url).value("Upload-Metadata") == named("day/third.wav")["Upload-Metadata"])
    }
    #expect(try verify().isSound)
  }

  @Test("a name that another recording has is not taken by renaming, and parts have no name")
  func renamedOver() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      let other = try await uploader.create(1, named: "theirs.wav")
      #expect(try await uploader.patch(other, at: 0, [1]).status == 204)
      let mine = try await uploader.create(1, named: "mine.wav")
      #expect(try await uploader.patch(mine, at: 0, [2]).status == 204)
      let part = try await uploader.create(1, ["Upload-Concat": "partial"])
      let name = ["Upload-Metadata": "filename \(base64("theirs.wav"))"]

      #expect(try await uploader.tus(.put, mine, name).status == 204)
      #expect(try await uploader.tus(.put, part, name).status == 400)
      #expect(try await uploader.tus(.put, mine).status == 400)
      #expect(try await uploader.tus(.put, "/files/00112233445566778899aabbccddeeff", name).status == 404)
    }
    #expect(folder.bytes("recordings/tus/theirs.wav") == [1])
    #expect(folder.names("recordings/tus").filter { $0.hasPrefix("theirs~") }.count == 1)
  }

  @Test("HEAD gives back what was said, and may not be cached")
  func head() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      let metadata = "filename \(base64("a b.wav")),empty,device \(base64("booth"))"
      let url = try await uploader.create(5, ["Upload-Metadata": metadata])
      let answer = try await uploader.tus(.head, url)
      #expect(answer.status == 200)
      #expect(answer.value("Cache-Control") == "no-store")
      #expect(answer.number("Upload-Length") == 5)
      #expect(answer.value("Upload-Metadata") == metadata)
      #expect(answer.value("Upload-Expires")?.hasSuffix("GMT") == true)
      #expect(try await uploader.patch(url, at: 0, noise(5, seed: 1)).status == 204)
      #expect(try await uploader.tus(.head, url).value("Upload-Metadata") == metadata)
      #expect(try await uploader.tus(.head, "/files/00112233445566778899aabbccddeeff").status == 404)
      #expect(try await uploader.tus(.head, "/files/nonsense").status == 404)
    }
    #expect(folder.bytes("recordings/booth/a b.wav") == noise(5, seed: 1))
  }

  @Test("what does not fit is refused, and changes nothing")
  func refusals() async throws {
    var limits = ReceiverConfiguration.Limits()
    limits.tusBytesMax = 1_000
    try await withReceiver(on: folder, limits: limits) { uploader async throws in
      for headers in [
        [:], ["Upload-Length": "1", "Upload-Defer-Length": "1"], ["Upload-Length": "-1"], ["Upload-Length": "x"],
        ["Upload-Defer-Length": "2"], ["Upload-Length": "99999999999999999999"],
        ["Upload-Length": "1", "Upload-Metadata": "filename ***"],
        ["Upload-Length": "1", "Upload-Metadata": "a YQ==,a YQ=="],
      ] {
        #expect(try await uploader.tus(.post, "/files/", headers).status == 400)
      }
      #expect(try await uploader.tus(.post, "/files/", ["Upload-Length": "1001"]).status == 413)
      let old = try await uploader.tus(.post, "/files/", ["Upload-Length": "1", "Tus-Resumable": "0.2.2"])
      #expect(old.status == 412)
      #expect(old.value("Tus-Version") == "1.0.0")
      #expect(try await uploader.send(.head, "/files/x").status == 412)

      let url = try await uploader.create(10)
      #expect(try await uploader.patch(url, at: 0, [1, 2, 3]).status == 204)
      #expect(try await uploader.patch(url, at: 0, [1]).status == 409)
      #expect(try await uploader.patch(url, at: 4, [1]).status == 409)
      #expect(try await uploader.patch(url, at: 3, [1], ["Content-Type": "text/plain"]).status == 415)
      #expect(try await uploader.patch(url, at: 3, [1], ["Upload-Offset": "three"]).status == 400)
      #expect(try await uploader.patch(url, at: 3, [1], ["Upload-Length": "11"]).status == 400)
      #expect(try await uploader.patch(url, at: 3, noise(8, seed: 1)).status == 413)
      #expect(try await uploader.offset(url) == 3)
      #expect(try await uploader.tus(.get, url).status == 405)
      #expect(try await uploader.patch(url, at: 3, noise(7, seed: 1)).status == 204)
      #expect(try await uploader.patch(url, at: 10, []).status == 204)
      #expect(try await uploader.patch(url, at: 10, [1]).status == 413)
    }
  }

  @Test("a wrong checksum leaves nothing of the request", arguments: [500, mebibyte, 2 * mebibyte + 5])
  func checksum(size: Int) async throws {
    let recording = noise(100 + size, seed: 1)
    try await withReceiver(on: folder) { uploader async throws in
      let url = try await uploader.create(recording.count, named: "take.wav")
      let (head, tail) = (Array(recording[..<100]), Array(recording[100...]))
      #expect(try await uploader.patch(url, at: 0, head, ["Upload-Checksum": sha256(head)]).status == 204)
      #expect(try await uploader.patch(url, at: 100, tail, ["Upload-Checksum": sha1(head)]).status == 460)
      #expect(try await uploader.patch(url, at: 100, tail, ["Upload-Checksum": sha256(head)]).status == 460)
      #expect(try await uploader.patch(url, at: 100, tail, ["Upload-Checksum": "md5 AAAA"]).status == 400)
      #expect(try await uploader.offset(url) == 100)
      #expect(try await uploader.patch(url, at: 100, tail, ["Upload-Checksum": sha1(tail)]).status == 204)
    }
    #expect(folder.bytes("recordings/tus/take.wav") == recording)
  }

  @Test("the length may come with any later request, once")
  func deferredLength() async throws {
    let recording = noise(mebibyte + 9, seed: 1)
    try await withReceiver(on: folder) { uploader async throws in
      let url = try await uploader.create(nil, named: "live.mkv")
      #expect(try await uploader.tus(.head, url).value("Upload-Defer-Length") == "1")
      #expect(try await uploader.patch(url, at: 0, recording).status == 204)
      #expect(try await uploader.tus(.head, url).value("Upload-Length") == nil)
      // A running recording can be played, as those of devices.
      #expect(try await uploader.send(.get, "/recordings/tus/live.mkv").bytes == recording)
      #expect(try await uploader.patch(url, at: recording.count, [], ["Upload-Length": "9"]).status == 400)
      for _ in 0..<2 {
        let end = try await uploader.patch(url, at: recording.count, [], ["Upload-Length": "\(recording.count)"])
        #expect(end.status == 204)
      }
      #expect(try await uploader.tus(.head, url).number("Upload-Length") == recording.count)
      #expect(try await uploader.patch(url, at: recording.count, [], ["Upload-Length": "1"]).status == 400)
    }
    #expect(folder.bytes("recordings/tus/live.mkv") == recording)
  }

  @Test("a creation may bring bytes; one that fails leaves nothing")
  func creationWithUpload() async throws {
    let recording = noise(1_000, seed: 1)
    try await withReceiver(on: folder) { uploader async throws in
      var headers = [
        "Upload-Length": "1000", "Content-Type": Uploader.tusType, "Upload-Metadata": "filename \(base64("one.wav"))",
      ]
      let whole = try await uploader.tus(.post, "/files/", headers, body: recording)
      #expect(whole.status == 201)
      #expect(whole.number("Upload-Offset") == 1_000)
      headers["Upload-Checksum"] = sha1([1])
      #expect(try await uploader.tus(.post, "/files", headers, body: recording).status == 460)
      headers["Upload-Checksum"] = nil
      #expect(try await uploader.tus(.post, "/files/", headers, body: recording + [1]).status == 413)
      headers["Content-Type"] = "text/plain"
      #expect(try await uploader.tus(.post, "/files/", headers, body: recording).status == 415)
    }
    #expect(folder.bytes("recordings/tus/one.wav") == recording)
    #expect(folder.names("").filter { $0.hasPrefix("sess_tus_") }.count == 1)
  }

  @Test("DELETE removes the bytes and the name, finished or not")
  func termination() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      let half = try await uploader.create(10, named: "half.wav")
      #expect(try await uploader.patch(half, at: 0, [1]).status == 204)
      let whole = try await uploader.create(1, named: "whole.wav")
      let sent = try await uploader.send(
        .post, whole,
        [
          "Tus-Resumable": "1.0.0", "X-HTTP-Method-Override": "PATCH", "Upload-Offset": "0",
          "Content-Type": Uploader.tusType,
        ], body: [7])
      #expect(sent.status == 204)
      for url in [half, whole] {
        #expect(try await uploader.tus(.delete, url).status == 204)
        #expect(try await uploader.tus(.head, url).status == 404)
        #expect(try await uploader.tus(.delete, url).status == 404)
        #expect(try await uploader.patch(url, at: 0, [1]).status == 404)
      }
    }
    #expect(folder.names("").filter { $0.hasPrefix("sess_") }.isEmpty)
    #expect(!folder.exists("recordings/tus/whole.wav"))
    #expect(try verify().isSound)
  }

  @Test("partial uploads become one recording; unfinished or foreign ones do not")
  func concatenation() async throws {
    let recording = noise(2 * mebibyte + 700, seed: 1)
    try await withReceiver(on: folder) { uploader async throws in
      let cut = mebibyte + 3
      let parts = [Array(recording[..<cut]), Array(recording[cut...])]
      var urls: [String] = []
      for part in parts {
        let url = try await uploader.create(part.count, ["Upload-Concat": "partial"])
        urls.append(url)
        if url != urls[0] { #expect(try await uploader.patch(url, at: 0, part).status == 204) }
      }
      let name = ["Upload-Metadata": "filename \(base64("joined.wav"))"]
      let final = ["Upload-Concat": "final;http://proxy.example\(urls[0]) \(urls[1])"].merging(name) { $1 }
      #expect(try await uploader.tus(.post, "/files/", final).status == 400)
      #expect(try await uploader.patch(urls[0], at: 0, parts[0]).status == 204)
      #expect(try await uploader.tus(.head, urls[0]).value("Upload-Concat") == "partial")
      let own = try await uploader.create(0)
      for bad in ["final;", "final; /files/x", "final;\(own)", "final;/files/00112233445566778899aabbccddeeff", "all"] {
        #expect(try await uploader.tus(.post, "/files/", ["Upload-Concat": bad]).status == 400)
      }
      #expect(try await uploader.tus(.post, "/files/", final.merging(["Upload-Length": "1"]) { $1 }).status == 400)
      let answer = try await uploader.tus(.post, "/files/", final)
      #expect(answer.status == 201)
      let url = try #require(answer.upload)
      #expect(try await uploader.patch(url, at: recording.count, [1]).status == 403)
      let head = try await uploader.tus(.head, url)
      #expect(head.number("Upload-Length") == recording.count)
      #expect(head.number("Upload-Offset") == recording.count)
      #expect(head.value("Upload-Concat") == final["Upload-Concat"])
      for part in urls { #expect(try await uploader.tus(.delete, part).status == 204) }
    }
    #expect(folder.bytes("recordings/tus/joined.wav") == recording)
    #expect(try verify().isSound)
  }

  @Test("folders come from relativePath; what the client calls the same recording replaces it, what it does not never")
  func replacement() async throws {
    try await withReceiver(on: folder) { uploader async throws in
      func upload(_ bytes: [UInt8], _ metadata: [String: String]) async throws -> String {
        let header = metadata.sorted { $0.key < $1.key }.map { "\($0.key) \(base64($0.value))" }.joined(separator: ",")
        let url = try await uploader.create(bytes.count, ["Upload-Metadata": header])
        #expect(try await uploader.patch(url, at: 0, bytes).status == 204)
        return url
      }
      let own = ["filename": "one.wav", "relativePath": "takes/one.wav", "device": "camera", "session": "s1"]
      let first = try await upload([1], own)
      #expect(folder.bytes("recordings/camera/takes/one.wav") == [1])
      let second = try await upload([2, 2], own)
      #expect(folder.bytes("recordings/camera/takes/one.wav") == [2, 2])
      #expect(try await uploader.tus(.head, first).status == 404)
      #expect(try await uploader.offset(second) == 2)
      // Another recording of that name gets a name of its own, and so does one of a client that says nothing.
      let other = try await upload([3], own.merging(["session": "s2"]) { $1 })
      _ = try await upload([4], ["filename": "takes/one.wav", "device": "camera"])
      #expect(try await uploader.offset(other) == 1)
      #expect(folder.bytes("recordings/camera/takes/one.wav") == [2, 2])
      #expect(folder.names("recordings/camera/takes").count == 3)
      // Renamed since: the old name goes.
      _ = try await upload([5], own.merging(["filename": "two.wav", "relativePath": "two.wav"]) { $1 })
      #expect(folder.bytes("recordings/camera/two.wav") == [5])
      #expect(!folder.exists("recordings/camera/takes/one.wav"))
      _ = try await upload([6], ["filename": "uppy.wav", "relativePath": "null"])
      #expect(folder.bytes("recordings/tus/uppy.wav") == [6])
    }
    #expect(try verify().isSound)
  }

  private func verify() throws -> ReceiverVerifier.Report {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return try ReceiverVerifier.verify(dataDirectory: folder.data, logger: logger)
  }
}
