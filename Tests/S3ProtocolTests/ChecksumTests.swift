import S3Protocol
import Testing
import UploadProtocol

@Suite("checksums")
struct ChecksumTests {
  /// The check values that the catalogues of CRCs publish for these nine digits.
  @Test("the published check values")
  func published() {
    let digits = Array("123456789".utf8)
    #expect(S3Checksum(.crc64nvme, of: digits) == .crc64nvme(0xae8b_1486_0a79_9888))
    #expect(S3Checksum(.crc32c, of: digits) == .crc32c(0xe306_9283))
  }

  /// RFC 3720, appendix B.4.
  @Test("the CRC32C vectors of iSCSI")
  func iSCSI() {
    #expect(S3Checksum(.crc32c, of: [UInt8](repeating: 0, count: 32)) == .crc32c(0x8a91_36aa))
    #expect(S3Checksum(.crc32c, of: [UInt8](repeating: 0xff, count: 32)) == .crc32c(0x62a8_ab43))
    #expect(S3Checksum(.crc32c, of: Array(0..<32)) == .crc32c(0x46dd_794e))
    #expect(S3Checksum(.crc32c, of: (0..<32).reversed()) == .crc32c(0x113f_db5c))
  }

  /// NVM Express NVM Command Set Specification, "64b CRC Test Cases".
  @Test("the CRC64 vectors of NVM Express")
  func nvmExpress() {
    #expect(S3Checksum(.crc64nvme, of: [UInt8](repeating: 0, count: 4_096)) == .crc64nvme(0x6482_d367_eb22_b64e))
    #expect(S3Checksum(.crc64nvme, of: [UInt8](repeating: 0xff, count: 4_096)) == .crc64nvme(0xc0dd_ba73_02ec_a3ac))
    let rising = (0..<4_096).map { UInt8(truncatingIfNeeded: $0) }
    #expect(S3Checksum(.crc64nvme, of: rising) == .crc64nvme(0x3e72_9f5f_6750_449c))
    #expect(S3Checksum(.crc64nvme, of: rising.reversed()) == .crc64nvme(0x9a2d_f64b_8e9e_517e))
  }

  @Test("the text is base64 in network byte order")
  func text() {
    #expect(S3Checksum.crc32c(0xe306_9283).text == "4waSgw==")
    #expect(S3Checksum.crc64nvme(0xae8b_1486_0a79_9888).text == "rosUhgp5mIg=")
  }

  @Test("checksums of pieces combine to that of the whole", arguments: S3Checksum.Algorithm.allCases)
  func combining(algorithm: S3Checksum.Algorithm) {
    var generator = Generator(seed: 7)
    for _ in 0..<200 {
      let bytes = (0..<Int.random(in: 0...300, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator) }
      let cut = Int.random(in: 0...bytes.count, using: &generator)
      let first = S3Checksum(algorithm, of: Array(bytes[..<cut]))
      let second = S3Checksum(algorithm, of: Array(bytes[cut...]))
      #expect(first.followed(by: second, count: Int64(bytes.count - cut)) == S3Checksum(algorithm, of: bytes))
    }
  }

  @Test("a recording's checksum follows from those of its chunks", arguments: S3Checksum.Algorithm.allCases)
  func recording(algorithm: S3Checksum.Algorithm) {
    let size = 2 * ChunkLayout.chunkBytes + 12_345
    let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 11) }
    let chunks = (0..<3).map { index in
      let start = index * ChunkLayout.chunkBytes
      return S3Checksum(algorithm, of: Array(bytes[start..<min(size, start + ChunkLayout.chunkBytes)]))
    }
    #expect(S3Checksum.ofRecording(algorithm, chunks: chunks, size: Int64(size)) == S3Checksum(algorithm, of: bytes))
    #expect(S3Checksum.ofRecording(algorithm, chunks: [], size: 0) == S3Checksum(algorithm, of: []))
  }
}
