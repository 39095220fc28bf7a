import Foundation
import SyncStatus
import Testing
import UploadProtocol

@Suite("reports of uploads")
struct UploadReportTests {
  private func hour(_ hour: Int64, _ ending: String, _ attempts: Int, isFailure: Bool = false, mebibytes: Int64 = 0, seconds: Int64 = 0)
    -> UploadReport.Hour
  {
    UploadReport.Hour(
      hour: hour, ending: ending, isFailure: isFailure, attempts: attempts, retries: isFailure ? attempts - 1 : 0,
      chunks: Int(mebibytes), bytes: mebibytes << 20, milliseconds: seconds * 1_000)
  }

  private var report: UploadReport {
    UploadReport(
      title: "/mnt/rec", from: 1_795_089_600, to: 1_795_694_400,
      hours: [
        hour(498_800, "stored", 40, mebibytes: 40, seconds: 20), hour(498_800, "announced", 2),
        hour(498_801, "stored", 6, mebibytes: 6, seconds: 75), hour(498_801, "stalled", 3, isFailure: true),
        // Half a chunk says nothing of the link.
        UploadReport.Hour(
          hour: 498_802, ending: "stored", isFailure: false, attempts: 1, retries: 0, chunks: 1, bytes: 500, milliseconds: 9_000),
      ],
      troubles: [
        UploadReport.Trouble(
          path: Array("take\n1".utf8), session: SessionID(number: 255), state: "synced", attempts: 9, failures: 3, inARowMax: 3,
          lastAt: 1_795_690_000, lastEnding: "stalled", lastMessage: "no byte moved for 60 s")
      ])
  }

  @Test("it sums up, and finds the slow hours, the bad ones and the recordings with trouble")
  func sums() {
    let report = report
    #expect(report.attempts == 52 && report.failures == 3 && report.retries == 2 && report.chunks == 47)
    #expect(report.slowest(5).map(\.hour) == [498_801, 498_800])
    #expect(report.slowest(1).first?.secondsPerMebibyte == 12.5)
    #expect(report.worst(5).map(\.failures) == [3])
    #expect(
      report.text == """
        /mnt/rec: uploads from 2026-11-19T12:00:00Z to 2026-11-26T12:00:00Z
          requests   52, 94.2 % without failure
          endings    stored 47, stalled 3, announced 2
          retries    2 (3.8 % of the requests followed on a failure)
          stored     46.0 MiB in 47 chunks

        Slowest hours (UTC): what one request took for a mebibyte
          2026-11-26T09:00:00Z  12.5 s, 6.0 MiB stored, 3 failures
          2026-11-26T08:00:00Z  0.5 s, 40.0 MiB stored

        Hours with most failures (UTC)
          2026-11-26T09:00:00Z  3 of 9 requests

        Recordings with most failures
          take\\n1 (synced): 3 of 9 requests, 3 in a row at most
            last 2026-11-26T10:46:40Z, stalled: no byte moved for 60 s

        """)
  }

  @Test("without any request it says so instead of dividing by nothing")
  func empty() throws {
    let empty = UploadReport(title: "x", from: 0, to: 60, hours: [], troubles: [])
    #expect(empty.text == "x: uploads from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z\n  nothing was sent\n")
    let object = try #require(try JSONSerialization.jsonObject(with: Data(empty.json)) as? [String: Any])
    #expect(object["success_percent"] is NSNull)
  }

  @Test("the JSON holds the same numbers")
  func json() throws {
    let object = try #require(try JSONSerialization.jsonObject(with: Data(report.json)) as? [String: Any])
    #expect(object["requests"] as? Int == 52)
    #expect(object["success_percent"] as? Double == 94.231)
    #expect((object["endings"] as? [String: Int])?["stalled"] == 3)
    #expect((object["hours"] as? [[String: Any]])?.count == 5)
    let slow = try #require(object["slowest_hours"] as? [[String: Any]])
    #expect(slow[0]["hour"] as? String == "2026-11-26T09:00:00Z")
    let trouble = try #require((object["troubled_sessions"] as? [[String: Any]])?.first)
    #expect(trouble["session"] as? String == "sess_00000000000000ff")
    #expect(trouble["path"] as? String == "take\n1")
  }
}
