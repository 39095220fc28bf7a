import SyncStatus
import Testing
import UploadProtocol

@Suite("A page of sessions taken apart")
struct SessionsPartsTests {
  private func recording(_ path: String, _ number: Int64?) -> RecordingStatus {
    var status = RecordingStatus(state: .uploading, path: Array(path.utf8), destination: "http://h:1")
    status.session = number.map { SessionID(number: $0) }
    return status
  }

  private func page(_ recordings: [RecordingStatus]) -> [UInt8] {
    let total = RecordingStatus(state: .synced, path: [], destination: "http://h:1")
    return SessionsPage.bytes(
      OverallStatus(time: 1_000, total: total, counts: StateCounts(), connection: .offline(#"","time":"x"#)), recordings)
  }

  @Test("head, time and recordings come apart as they were written, whatever the names are")
  func apart() throws {
    let names = ["plain", "\"session\":\"sess_1\"", "line\nbreak", "],}", "\\\",\"session\":\"x", ""]
    let recordings = names.enumerated().map { recording($1, Int64($0)) }

    let parts = try #require(SessionsPage.Parts(page(recordings)))

    #expect(parts.time == "1970-01-01T00:16:40.000Z")
    #expect(parts.head.first == UInt8(ascii: "{") && parts.head.last == UInt8(ascii: "}"))
    #expect(!String(decoding: parts.head, as: UTF8.self).contains("16:40"))
    #expect(Set(parts.recordings.keys) == Set(recordings.map { $0.session!.description }))
    for recording in recordings {
      let expected = String(StatusAttributes.json(of: recording).dropFirst(#"{"schema_version":1,"#.utf8.count))
      #expect(String(decoding: parts.recordings[recording.session!.description]!, as: UTF8.self) == "{" + expected)
    }
  }

  @Test("recordings without a session are kept, and none is no recording")
  func odd() throws {
    #expect(try #require(SessionsPage.Parts(page([recording("young", nil)]))).recordings.count == 1)
    #expect(try #require(SessionsPage.Parts(page([]))).recordings.isEmpty)
  }

  @Test("of very many the page gets those that are not synced, then those that were synced last")
  func mostUrgent() throws {
    let recordings = (0..<9).map { number in
      var status = recording("r\(number)", Int64(number))
      if number != 4 { (status.state, status.lastSyncedAt) = (.synced, Double(1_000 + number)) }
      return status
    }
    let parts = try #require(SessionsPage.Parts(page(recordings)))

    #expect(Set(parts.mostUrgent(3).keys) == Set([4, 7, 8].map { SessionID(number: $0).description }))
    #expect(parts.mostUrgent(9) == parts.recordings)
  }

  @Test("anything else is refused", arguments: ["", "{}", "{\n]}\n", "[1]\n]}\n"])
  func broken(text: String) { #expect(SessionsPage.Parts(Array(text.utf8)) == nil) }
}
