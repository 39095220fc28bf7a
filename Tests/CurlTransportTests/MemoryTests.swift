import CurlTransport
import FaultyServer
import Foundation
import Testing
import UploadCore

@Suite("Memory")
struct MemoryTests {
  @Test("three hundred chunks leave no more behind than ten")
  func chunks() throws {
    let server = try FaultyServer(behave: receiver)
    let harness = try Harness(server.url)
    for index in 0..<10 { _ = try harness.outcome(of: .chunk(Harness.chunk(index)), id: UInt64(index)) }
    let before = try residentBytes()

    for index in 10..<310 { _ = try harness.outcome(of: .chunk(Harness.chunk(index)), id: UInt64(index)) }

    // A third of what a leak of every chunk would be; other tests of this process need some meanwhile.
    #expect(try residentBytes() - before < 100 << 20)
  }

  private func residentBytes() throws -> Int {
    let pages = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
    return try #require(Int(pages[1])) * Int(sysconf(Int32(_SC_PAGESIZE)))
  }
}
