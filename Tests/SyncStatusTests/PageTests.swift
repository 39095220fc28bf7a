import Foundation
import SyncStatus
import Testing
import UploadProtocol

@Suite("attributes and pages")
struct PageTests {
  @Test("a running recording has the attributes that scripts rely on")
  func attributes() {
    var status = recording("studio/take 1.wav")
    status.isRecording = true
    status.lagSeconds = 12.34
    status.lastSyncedAt = noon
    func value(_ name: String) -> String? { StatusAttributes.value(name, of: status) }
    #expect(value("status") == "uploading")
    #expect(value("badge") == "⇪ 45%")
    #expect(value("progress") == "45")
    #expect(value("session") == "sess_0000000000000001")
    #expect(value("recording") == "1")
    #expect(value("bytes_written") == "20971520")
    #expect(value("bytes_synced") == "9437184")
    #expect(value("synced_through") == "9437184")
    #expect(value("chunks_total") == "20")
    #expect(value("chunks_synced") == "9")
    #expect(value("lag_seconds") == "12.3")
    #expect(value("last_synced_at") == "2026-11-22T11:19:14Z")
    #expect(value("destination") == "http://nas:8090")
    #expect(value("priority") == "normal")
    #expect(value("hold") == "0")
    #expect(value("error") == nil)
    #expect(value("sha256") == nil)
    #expect(value("nonsense") == nil)
  }

  @Test("exactly the attributes that have a value are listed")
  func listed() {
    var full = recording("a", .synced)
    full.error = "x"
    full.sha256 = "00"
    full.lastSyncedAt = 1
    full.stalledSeconds = 45
    let folder = DirectoryStatus.sum([full], path: [], destination: "d")
    for status in [full, recording("b"), folder, RecordingStatus(state: .synced, path: [], destination: "")] {
      let withValue = StatusAttributes.names.filter { StatusAttributes.value($0, of: status) != nil }
      #expect(StatusAttributes.listed(of: status) == withValue)
    }
    #expect(StatusAttributes.listed(of: full) == StatusAttributes.names)
    #expect(!StatusAttributes.listed(of: folder).contains("session"))
  }

  @Test("the page of a recording begins with badge and path, then one value a line")
  func page() {
    var status = recording("studio/take 1.wav", .failed)
    status.error = "413 from the proxy:\ntoo large"
    let lines = StatusPage.text(of: status).split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines[0] == "❌ FAILED studio/take 1.wav")
    #expect(lines[1] == "status: failed")
    #expect(lines.contains(#"error: 413 from the proxy:\ntoo large"#))
    #expect(lines.last == "")
    #expect(lines.dropFirst().dropLast().allSatisfy { $0.contains(": ") })
    #expect(StatusPage.text(of: RecordingStatus(state: .synced, path: [], destination: "d")).hasPrefix("✓ SYNCED .\n"))
  }

  @Test("names that are not UTF-8, or that would steer a terminal, are repaired for text and exact in JSON")
  func oddNames() throws {
    var status = recording("x")
    status.path = Array("a\u{1B}[2J\n".utf8) + [0xFF]
    #expect(StatusPage.text(of: status).hasPrefix("⇪ 45% a\\u{1b}[2J\\n\u{FFFD}\n"))
    let object = try #require(json(Array(StatusAttributes.json(of: status).utf8)) as? [String: Any])
    #expect(object["path"] as? String == "a\u{1B}[2J\n\u{FFFD}")
    #expect((object["path_base64"] as? String).flatMap { Data(base64Encoded: $0) } == Data(status.path))
  }

  @Test("the session list is JSON with the mount's totals and every recording")
  func sessions() throws {
    var second = recording("b \"quoted\" \\ é", .paused, session: 2)
    second.lagSeconds = 1.25
    second.error = "tab\there"
    var whole = overall([recording("a"), second], .offline("connection refused"))
    whole.bytesPerSecondMax = 1 << 20
    let object = try #require(json(SessionsPage.bytes(whole, [recording("a"), second])) as? [String: Any])
    #expect(object["schema_version"] as? Int == 1)
    #expect(object["time"] as? String == "2026-11-22T11:19:14.500Z")
    #expect(object["connection"] as? String == "offline")
    #expect(object["connection_reason"] as? String == "connection refused")
    #expect(object["paused"] as? Bool == false)
    #expect(object["limit_bytes_per_second"] as? Int == 1 << 20)
    #expect(object["bytes_waiting"] as? Int == 22 << 20)
    #expect((object["states"] as? [String: Int])?["paused"] == 1)
    #expect((object["total"] as? [String: Any])?["status"] as? String == "paused")
    let sessions = try #require(object["sessions"] as? [[String: Any]])
    #expect(sessions.count == 2)
    #expect(sessions[1]["path"] as? String == "b \"quoted\" \\ é")
    #expect(sessions[1]["error"] as? String == "tab\there")
    #expect(sessions[1]["lag_seconds"] as? Double == 1.25)
    #expect(sessions[0]["error"] is NSNull)
  }

  @Test("the session list costs what it is long, not more")
  func manySessions() throws {
    func build(_ count: Int) -> (bytes: Int, time: Duration) {
      var page = SessionsPage(overall([]))
      var size = 0
      let time = ContinuousClock().measure {
        for number in 0..<count { page.append(recording("take.wav", session: Int64(number))) }
        size = page.finish().count
      }
      return (size, time)
    }
    let small = build(2_000)
    let large = build(20_000)
    #expect(large.bytes > 9 * small.bytes)
    // Quadratic cost would be a hundredfold; 40 leaves room for a machine that is busy meanwhile.
    #expect(large.time < small.time * 40 + .milliseconds(500))
  }

  @Test("what JSON cannot hold becomes null, and control characters are escaped")
  func jsonText() throws {
    var text = JSONText()
    text.beginArray()
    text.add(nil, Double.infinity)
    text.add(nil, Double.nan)
    text.add(nil, -0.5)
    text.add(nil, 0.1 + 0.2)
    text.add(nil, String(decoding: Array(UInt8(0)..<0x80), as: UTF8.self))
    text.beginObject()
    text.endObject()
    text.add(nil, true)
    text.endArray()
    let array = try #require(json(text.bytes) as? [Any])
    #expect(array[0] is NSNull && array[1] is NSNull)
    #expect(array[2] as? Double == -0.5)
    #expect(array[3] as? Double == 0.3)
    #expect(array[4] as? String == String(decoding: Array(UInt8(0)..<0x80), as: UTF8.self))
    #expect((array[5] as? [String: Any])?.isEmpty == true)
  }

  @Test("the summary says what is safe, as of when")
  func summary() {
    var late = recording("a")
    late.lagSeconds = 10.5
    var whole = overall([late, recording("b", .synced, written: 5, synced: 5, session: 2)], .blocked("401: bad token"))
    whole.isPaused = true
    let text = SummaryPage.text(whole)
    #expect(text.contains("Safe through 2026-11-22T11:19:04Z: everything written before is stored"))
    #expect(text.contains("as of 2026-11-22T11:19:14Z."))
    #expect(text.contains("\nconnection: blocked\nconnection_reason: 401: bad token\npaused: 1\nlimit: off\n"))
    #expect(text.contains("\nrecordings: 2\n"))
    #expect(text.contains("\nbytes_waiting: 11534336\nchunks_waiting: 12\n"))
    #expect(SummaryPage.safeSentence(overall([])) == "Nothing has been recorded, as of 2026-11-22T11:19:14Z.")
    #expect(
      SummaryPage.safeSentence(overall([recording("b", .synced, written: 1_024, synced: 1_024)]))
        == "Safe: all 1.0 KiB in 1 recording, as of 2026-11-22T11:19:14Z.")
    #expect(
      SummaryPage.safeSentence(overall([recording("b", .uploading, written: 5, synced: 5)])).hasPrefix("All bytes are"))
  }

  @Test("the metrics are Prometheus text: every series has help and type, and states are the only labels")
  func metrics() throws {
    var counters = MetricsPage.Counters()
    counters.chunksUploaded = 9
    counters.attempts = ["stored": 4, "session_unknown": 0]
    var histograms = MetricsPage.Histograms()
    histograms.writes = MetricsPage.Histogram(bounds: [0.001, 2.5], counts: [3, 2, 1], sumSeconds: 4.25)
    var whole = overall([recording("evil\"} 1\n")], .offline("down"))
    whole.window = 3
    whole.stallTimeout = 15
    whole.spacing = 0.25
    let text = MetricsPage.text(whole, counters, MetricsPage.Machine(), histograms)
    var known: Set<String> = []
    for line in text.split(separator: "\n") {
      if line.hasPrefix("# ") {
        known.insert(String(line.split(separator: " ")[2]))
        continue
      }
      let match = try #require(line.wholeMatch(of: /([a-z_]+)(\{(status|state|outcome|le)="([a-z_0-9.]+|\+Inf)"\})? -?[0-9.]+/), "\(line)")
      let name = String(match.1)
      #expect(["", "_bucket", "_sum", "_count"].contains { known.contains(String(name.dropLast($0.count))) && name.hasSuffix($0) })
      #expect(match.1.hasPrefix("reelfs_"))
    }
    #expect(text.contains("\nreelfs_uploaded_chunks_total 9\n"))
    #expect(text.contains("\nreelfs_transfers_window 3\n"))
    #expect(text.contains("\nreelfs_stall_timeout_seconds 15\n"))
    #expect(text.contains("\nreelfs_request_spacing_seconds 0.25\n"))
    #expect(text.contains("\nreelfs_connection{state=\"offline\"} 1\n"))
    #expect(text.contains("\nreelfs_upload_attempts_total{outcome=\"stored\"} 4\n"))
    #expect(
      text.contains(
        """
        # TYPE reelfs_write_duration_seconds histogram
        reelfs_write_duration_seconds_bucket{le="0.001"} 3
        reelfs_write_duration_seconds_bucket{le="2.5"} 5
        reelfs_write_duration_seconds_bucket{le="+Inf"} 6
        reelfs_write_duration_seconds_sum 4.25
        reelfs_write_duration_seconds_count 6

        """))
    #expect(text.contains("\nreelfs_snapshot_timestamp_seconds 1795346354.5\n"))
    #expect(text.hasSuffix("\n"))
  }

  @Test("events carry exactly the original system's fields")
  func events() {
    let session = SessionID(number: 255)
    func line(_ kind: SyncEvent.Kind) -> String { text(EventLine.bytes(of: SyncEvent(id: 7, time: noon, kind: kind))) }
    let head = #"{"id":7,"time":"2026-11-22T11:19:14.500Z","type":"#
    #expect(
      line(.chunkUploaded(session, chunk: 5, totalChunks: 20))
        == head + #""CHUNK_UPLOADED","sessionId":"sess_00000000000000ff","chunkId":5,"totalChunks":20}"# + "\n")
    #expect(
      line(.sessionUploadComplete(session))
        == head + #""SESSION_UPLOAD_COMPLETE","sessionId":"sess_00000000000000ff"}"# + "\n")
    #expect(
      line(.uploadError(session, chunk: 10, "Server unreachable")) == head
        + #""UPLOAD_ERROR","sessionId":"sess_00000000000000ff","chunkId":10,"error":"Server unreachable"}"# + "\n")
    #expect(line(.uploadError(session, chunk: nil, "x")).contains(#""chunkId":null"#))
    #expect(
      line(.recordingStalled(session, seconds: 31)) == head
        + #""RECORDING_STALLED","sessionId":"sess_00000000000000ff","seconds":31}"# + "\n")
    #expect(line(.connectionRestored) == head + #""CONNECTION_RESTORED"}"# + "\n")
    for (kind, type) in [
      (SyncEvent.Kind.uploadPaused("p"), "UPLOAD_PAUSED"), (.uploadResumed, "UPLOAD_RESUMED"),
      (.connectionLost("l"), "CONNECTION_LOST"), (.sessionRegistered(session), "SESSION_REGISTERED"),
    ] {
      #expect(line(kind).hasPrefix(head + "\"\(type)\""))
    }
  }

  private func json(_ bytes: [UInt8]) throws -> Any { try JSONSerialization.jsonObject(with: Data(bytes)) }
}
