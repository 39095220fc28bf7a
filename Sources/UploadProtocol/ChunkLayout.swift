/// How a recording is cut into chunks: the only place that knows the chunk size.
public enum ChunkLayout {
  /// Bytes of every chunk but a recording's last: 1 MiB, nginx's default body limit to the byte.
  public static let chunkBytes = 1 << 20

  /// Chunks a receiver files under one `shard_NNNN` folder.
  public static let chunksPerShard = 1_000

  /// Highest chunk index either side accepts: 10 TiB of recording, and still a 4-digit shard.
  public static let indexMax = 9_999_999

  /// Bytes of the longest recording: one more would need a chunk beyond `indexMax`.
  public static let sizeMax = Int64(indexMax + 1) * Int64(chunkBytes)

  /// Chunks that a recording of `size` bytes has; 0 for an empty one.
  public static func chunkCount(size: Int64) -> Int {
    // Not by adding a chunk less a byte: a sparse file may be as long as an Int64 can tell.
    Int(size / Int64(chunkBytes)) + (size % Int64(chunkBytes) == 0 ? 0 : 1)
  }

  /// Bytes of chunk `index` in a recording of `size` bytes: `chunkBytes`, less in the last, 0 past the end.
  public static func byteCount(of index: Int, size: Int64) -> Int {
    let start = Int64(index) * Int64(chunkBytes)
    return Int(min(Int64(chunkBytes), max(0, size - start)))
  }

  /// The indexes that bytes `offset..<offset + count` touch; empty when `count` is 0.
  public static func indexes(offset: Int64, count: Int64) -> Range<Int> {
    guard count > 0 else { return 0..<0 }
    return Int(offset / Int64(chunkBytes))..<Int((offset + count - 1) / Int64(chunkBytes)) + 1
  }
}
