/// Paths and header names of the chunk protocol (docs/PROTOCOL.md), as both sides write them.
public enum Routes {
  public static let chunk = "/upload/chunk"
  public static let sessions = "/upload/sessions"
  /// Small recordings, many in one request.
  public static let wholeRecordings = "/upload/recordings"
  public static let recordings = "/recordings"
  public static let health = "/healthz"
}

public enum HeaderName {
  public static let session = "Session-Id"
  public static let chunkIndex = "Chunk-Index"
  public static let chunkVersion = "Chunk-Version"
  public static let contentDigest = "Content-Digest"
  public static let writer = "Upload-Writer"
}
