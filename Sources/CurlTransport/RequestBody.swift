/// What a request carries: pieces that are read where they lie, from any offset, as often as libcurl asks.
///
/// libcurl may send a body twice on its own (a reused connection turned out to be dead), so reading again from an
/// earlier offset must give the same bytes.
package struct RequestBody {
  package enum Piece {
    case plain([UInt8])
    /// Sent as base64, encoded while it is read: the digests of a long recording are never held a second time.
    case base64(of: [UInt8])

    var count: Int {
      switch self {
      case .plain(let bytes): bytes.count
      case .base64(let bytes): Base64.count(of: bytes.count)
      }
    }
  }

  package let pieces: [Piece]
  /// Bytes on the wire.
  package let count: Int

  package init(_ pieces: [Piece]) {
    self.pieces = pieces
    self.count = pieces.reduce(0) { $0 + $1.count }
  }

  package init(bytes: [UInt8]) { self.init([.plain(bytes)]) }

  /// Copies what lies at `offset` (bytes from the start of the body) into `output`.
  /// - Returns: bytes copied: all of `output`, less at the end of the body, 0 past it.
  package func copy(from offset: Int, into output: UnsafeMutableRawBufferPointer) -> Int {
    var start = 0
    var copied = 0
    for piece in pieces {
      let end = start + piece.count
      let position = offset + copied
      if position < end, copied < output.count {
        let room = UnsafeMutableRawBufferPointer(rebasing: output[copied...])
        copied += Self.copy(piece, from: position - start, into: room)
      }
      start = end
    }
    return copied
  }

  private static func copy(_ piece: Piece, from offset: Int, into output: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(output.count, piece.count - offset)
    switch piece {
    case .plain(let bytes):
      bytes.withUnsafeBytes { source in
        output.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[offset..<offset + count]))
      }
    case .base64(let bytes):
      Base64.encode(bytes, from: offset, count: count, into: output)
    }
    return count
  }
}
