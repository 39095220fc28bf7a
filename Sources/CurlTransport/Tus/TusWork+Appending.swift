import UploadCore
import UploadProtocol

// Appending runs, and what an offset means that is not where the last receipt was.
extension TusWork {
  func run(_ run: Range<Int>) throws(SourceError) -> ConversationStep {
    guard let url = upload.url else { return createAppended() }
    guard upload.headChunks == headChunks else { return otherHead() }
    // A stored chunk was rewritten, or the recording grew after its length was declared.
    guard run.lowerBound == upload.appended else { return restart("a chunk that was appended has changed") }
    if let length = upload.length, length != neededLength { return restart("its length has changed") }
    let rows = try exchange.rows(run)
    guard rows.count == run.count, rows.allSatisfy({ $0.state != .open }) else { throw SourceError(.stale) }
    let versions = rows.map(\.version.number)
    let begun = upload.begun.start == run.lowerBound ? upload.begun.versions : []
    let isBegun = !begun.isEmpty && begun.count <= versions.count && Array(versions.prefix(begun.count)) == begun
    return offset(of: url) { offset in
      let inside = offset - start(of: run.lowerBound)
      if inside < 0 { return lost(to: offset) }
      if inside == 0, !isBegun {
        // Journaled before the first byte: only so does an offset inside the run mean something later.
        return .end(.advanced([TusUpload.begun(TusUpload.Begun(start: run.lowerBound, versions: versions))]))
      }
      // Bytes that arrived of chunks that have changed since cannot be taken back.
      guard isBegun, inside <= Int64(begun.count * ChunkLayout.chunkBytes) else {
        return restart("other bytes than these were appended")
      }
      return send(run.lowerBound..<run.lowerBound + begun.count, to: url, at: offset)
    }
  }

  /// Bytes in the appended upload before chunk `index`.
  func start(of index: Int) -> Int64 { Int64(index - upload.headChunks) * Int64(ChunkLayout.chunkBytes) }

  /// What the appended upload is long in the end.
  var neededLength: Int64 { max(0, exchange.size - Int64(upload.headChunks) * Int64(ChunkLayout.chunkBytes)) }

  private func send(_ run: Range<Int>, to url: String, at offset: Int64) -> ConversationStep {
    do throws(SourceError) {
      let snapshot = try exchange.read(run)
      guard snapshot.chunks.map(\.version.number) == upload.begun.versions else { throw SourceError(.stale) }
      let start = start(of: run.lowerBound)
      return append(snapshot.bytes, from: Int(offset - start), to: url, startingAt: start) {
        .end(.runStored(snapshot.chunks, [TusUpload.appended(run.upperBound)]))
      }
    } catch {
      return .end(error.outcome)
    }
  }

  /// The server has lost bytes that it had acknowledged (a crash without a sync).
  func lost(to offset: Int64) -> ConversationStep {
    let index = upload.headChunks + Int(offset / Int64(ChunkLayout.chunkBytes))
    var facts = [TusUpload.appended(index)]
    do throws(SourceError) {
      // Of the chunk that the offset lies in, the server has the version that was stored.
      guard let row = try exchange.rows(index..<index + 1).first, row.state == .stored else {
        return restart("what the server lost has changed")
      }
      facts.append(TusUpload.begun(TusUpload.Begun(start: index, versions: [row.version.number])))
    } catch {
      return .end(error.outcome)
    }
    return .end(.rolledBack(to: index, facts))
  }

  /// Where the next byte of `url` goes.
  func offset(of url: String, then: @escaping (Int64) -> ConversationStep) -> ConversationStep {
    if let known = memory.offsets[url] { return then(known) }
    return .send(requests.head(url)) { [memory, server] result in
      guard case .answered(let answer) = result, 200...204 ~= answer.status else { return missing(result, "HEAD") }
      guard let offset = answer.headers["upload-offset"].flatMap({ Int64($0) }), offset >= 0 else {
        return .end(.retryable("\(server.creationURL) answered HEAD without an Upload-Offset", after: nil))
      }
      // Declared by a request whose answer was lost, before the recording went on: it takes no more.
      if upload.length == nil, offset > 0, answer.headers["upload-length"].flatMap({ Int64($0) }) == offset {
        return .end(.advanced([TusUpload.length(offset)]))
      }
      memory.know(url, offset)
      return then(offset)
    }
  }

  /// Fewer than a conversation may have, with room for what comes before and after.
  private static let requestsMax = 24

  /// Appends `bytes[from...]` where `startingAt` is the offset of `bytes[0]`; in several requests where the server or a
  /// proxy wants small ones, or took only a part. After `requestsMax` of them the transfer ends, and goes on as another.
  func append(
    _ bytes: [UInt8], from: Int, to url: String, startingAt start: Int64, requests count: Int = 0,
    then: @escaping () -> ConversationStep
  ) -> ConversationStep {
    guard from < bytes.count else { return then() }
    guard count < Self.requestsMax else { return .end(.advanced([])) }
    let piece = bytes[from..<min(bytes.count, from + memory.appendMax)]
    memory.offsets[url] = nil
    let offset = start + Int64(from)
    let request = requests.append(
      piece, to: url, at: offset, checksum: capabilities.checksums.first, bytesPerSecondMax: bytesPerSecondMax)
    return .send(request) { [memory, server] result in
      guard case .answered(let answer) = result else { return .end(TusOutcomes.outcome(of: result, "PATCH", at: server.creationURL)) }
      switch answer.status {
      case 200, 204:
        guard let now = answer.headers["upload-offset"].flatMap({ Int64($0) }), now > offset, now <= offset + Int64(piece.count)
        else { return .end(.retryable("\(server.creationURL) took bytes without saying how many", after: nil)) }
        memory.know(url, now)
        return append(bytes, from: Int(now - start), to: url, startingAt: start, requests: count + 1, then: then)
      case 413 where memory.appendMax > TusDestination.Memory.appendMin:
        memory.appendMax = max(TusDestination.Memory.appendMin, memory.appendMax / 2)
        return append(bytes, from: from, to: url, startingAt: start, requests: count + 1, then: then)
      case 400 where upload.length == nil && url == upload.url && answer.words?.contains("Upload-Length") == true:
        return cannotDefer()
      default: return missing(result, "PATCH")
      }
    }
  }

  /// The server offers uploads of deferred length, and then wants the length with the first byte (resumable-upload 0.3
  /// does).
  private func cannotDefer() -> ConversationStep { withoutDeferring(.rolledBack(to: upload.headChunks, TusUpload.forgotten)) }

  /// The upload was begun with another head than would be today. One of a known length tells what a process before this one
  /// had learned of the server, and goes on as it is.
  func otherHead() -> ConversationStep {
    guard upload.headChunks == 0, upload.length == neededLength else { return restart("its head is cut otherwise") }
    return withoutDeferring(.advanced([]))
  }

  /// Recordings wait for their close from now on, as with servers that offer no deferred lengths.
  private func withoutDeferring(_ outcome: TransferOutcome) -> ConversationStep {
    memory.defersInNameOnly = true
    memory.capabilities?.deny("creation-defer-length")
    guard let geometry = memory.capabilities?.geometry else { return .end(outcome) }
    return .discovered(geometry, outcome)
  }

  /// The upload is gone, or finished by somebody: its bytes are sent again. Everything else is a usual answer.
  func missing(_ result: HTTPResult, _ what: String) -> ConversationStep {
    if case .answered(let answer) = result, [403, 404, 410].contains(answer.status) {
      return .end(.rolledBack(to: upload.headChunks, TusUpload.forgotten))
    }
    return .end(TusOutcomes.outcome(of: result, what, at: server.creationURL))
  }
}
