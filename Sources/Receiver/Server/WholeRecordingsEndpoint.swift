import Hummingbird
import NIOCore
import UploadProtocol

/// `POST /upload/recordings`: small recordings, each announced, stored and completed by one request with many of them.
struct WholeRecordingsEndpoint: Sendable {
  let vault: Vault
  /// The one of chunks: a request weighs no more.
  let budget: BodyBudget

  /// nginx's default limit, as for a chunk.
  static let bodyBytesMax = 1 << 20

  func store(_ request: Request) async throws(ReceiverError) -> Response {
    try budget.take()
    defer { budget.release() }
    let (bytes, _) = try await request.collect(bytesMax: Self.bodyBytesMax)
    let body = try RecordingsBody(bytes)
    let uploads = body.recordings.compactMap { try? $0.upload.get() }
    var stored = (uploads.isEmpty ? [] : try await vault.store(uploads)).makeIterator()
    return Reply.json(
      RecordingsAnswer(
        recordings: body.recordings.map { session, upload in
          do throws(ReceiverError) {
            let upload = try upload.get()
            // One outcome for each that was given to the vault, in that order.
            guard let outcome = stored.next() else { throw .storage("a recording was given no outcome") }
            return RecordingsAnswer.Entry(session, upload, try outcome.get())
          } catch { return RecordingsAnswer.Entry(session, error) }
        }))
  }
}
