/// Amazon's rules for the name of a bucket; everybody's names obey them, since a host name is made from them.
package enum BucketName {
  package static func check(_ name: String) throws(S3ConfigurationError) {
    guard 3...63 ~= name.utf8.count else { throw .badBucket(name, "it must have 3 to 63 characters") }
    guard name.utf8.allSatisfy({ isLetterOrDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") }) else {
      throw .badBucket(name, "it may have lower-case letters, digits, dashes and dots only")
    }
    guard let first = name.utf8.first, let last = name.utf8.last, isLetterOrDigit(first), isLetterOrDigit(last) else {
      throw .badBucket(name, "it must begin and end with a letter or a digit")
    }
    guard !name.contains("..") else { throw .badBucket(name, "it must not have two dots in a row") }
    guard !isAddress(name) else { throw .badBucket(name, "it must not look like an IP address") }
  }

  private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
  }

  private static func isAddress(_ name: String) -> Bool {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
  }
}

/// The name of a region goes into host names and signatures.
package enum S3Region {
  package static let fallback = "us-east-1"

  package static func check(_ name: String) throws(S3ConfigurationError) {
    let isName = name.utf8.allSatisfy {
      switch $0 {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
        true
      default: false
      }
    }
    guard isName, 1...63 ~= name.utf8.count else { throw .badRegion(name) }
  }
}
