/// A cyclic redundancy check with reflected bits, all ones before and after: the tables of one polynomial.
///
/// Computed eight bytes at a time (slice-by-8). Checksums of neighbouring pieces are combined without their bytes, in
/// O(log n), which is how a whole object's follows from those of its chunks.
struct ReflectedCRC<Word: FixedWidthInteger & UnsignedInteger & Sendable>: Sendable {
  /// Bit-reversed: its highest bit stands for x⁰.
  private let polynomial: Word
  /// Eight tables of 256; entry `256 * t + b` advances byte `b` over `t` further bytes.
  private let table: [Word]

  init(reflectedPolynomial polynomial: Word) {
    self.polynomial = polynomial
    var table = [Word](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      table[byte] = (0..<8).reduce(Word(byte)) { word, _ in word >> 1 ^ (word & 1 == 1 ? polynomial : 0) }
    }
    for index in 256..<table.count {
      let before = table[index - 256]
      table[index] = before >> 8 ^ table[Int(truncatingIfNeeded: before & 0xff)]
    }
    self.table = table
  }

  /// - Parameter checksum: of the bytes before these; 0: there are none.
  func checksum(of bytes: [UInt8], after checksum: Word = 0) -> Word {
    let table = table.span
    let bytes = bytes.span
    var word = ~checksum
    var index = 0
    while index + 8 <= bytes.count {
      var block: UInt64 = 0
      for place in 0..<8 { block |= UInt64(bytes[index + place]) << (8 * UInt64(place)) }
      block ^= UInt64(truncatingIfNeeded: word)
      // What a 32-bit register holds lies within the first four bytes of the block.
      word = 0
      for place in 0..<8 {
        word ^= table[256 * (7 - place) + Int(truncatingIfNeeded: block >> (8 * UInt64(place)) & 0xff)]
      }
      index += 8
    }
    while index < bytes.count {
      word = word >> 8 ^ table[Int(truncatingIfNeeded: (word ^ Word(bytes[index])) & 0xff)]
      index += 1
    }
    return ~word
  }

  /// The checksum of two pieces, one behind the other.
  /// - Parameter shift: of the second piece's length.
  func combined(_ first: Word, _ second: Word, shift: Word) -> Word {
    // The ones before and after cancel each other out.
    product(shift, first) ^ second
  }

  /// What appending `count` bytes (not negative) multiplies the checksum before them by: x^(8 · count).
  func shift(count: Int64) -> Word {
    precondition(count >= 0)
    return power(8, times: UInt64(count))
  }

  // MARK: Polynomials over GF(2), modulo the check's own

  private var one: Word { 1 << (Word.bitWidth - 1) }

  /// x^(step · times).
  private func power(_ step: Int, times: UInt64) -> Word {
    var square = (0..<step).reduce(one) { word, _ in timesX(word) }
    var result = one
    var rest = times
    while rest > 0 {
      if rest & 1 == 1 { result = product(result, square) }
      square = product(square, square)
      rest >>= 1
    }
    return result
  }

  private func product(_ left: Word, _ right: Word) -> Word {
    var right = right
    var result: Word = 0
    for bit in stride(from: Word.bitWidth - 1, through: 0, by: -1) {
      if left >> bit & 1 == 1 { result ^= right }
      right = timesX(right)
    }
    return result
  }

  private func timesX(_ word: Word) -> Word { word >> 1 ^ (word & 1 == 1 ? polynomial : 0) }
}
