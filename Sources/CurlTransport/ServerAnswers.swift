import FoundationEssentials

// The JSON that a receiver answers with, as far as the client looks at it.

struct ServerRefusal: Decodable {
  let error: String
  let message: String?
  let chunkVersion: UInt32?
  let missing: [Int]?
}

struct ChunkReceipt: Decodable {
  let sessionId: String
  let chunkIndex: Int
  let chunkVersion: UInt32
  let bytes: Int
  let sha256: String
}

struct SessionAnswer: Decodable {
  let sessionId: String
}

struct CompletionAnswer: Decodable {
  let sessionId: String
  let size: Int64
}

struct RecordingsAnswer: Decodable {
  let recordings: [Entry]

  /// A receipt, or `error` and what goes with it.
  struct Entry: Decodable {
    let sessionId: String
    let chunkVersion: UInt32?
    let size: Int64?
    let sha256: String?
  }
}

struct HealthAnswer: Decodable {
  let status: String
}

extension HTTPAnswer {
  /// The body as `Answer`; nil when it is anything else.
  func decoded<Answer: Decodable>(_ type: Answer.Type) -> Answer? {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try? decoder.decode(type, from: Data(body))
  }

  var isJSONObject: Bool { decoded(AnyObjectAnswer.self) != nil }

  /// The beginning of the body as one line for people; nil when there is nothing to show.
  var words: String? {
    let text = String(decoding: body.prefix(Self.wordsMax), as: UTF8.self)
    let line = text.split { $0.isWhitespace || $0.isNewline }.joined(separator: " ")
    return line.isEmpty ? nil : line
  }

  /// Enough for a sentence, little enough for a status line.
  private static let wordsMax = 200
}

/// Takes any JSON object and nothing of it.
private struct AnyObjectAnswer: Decodable {
  private enum NoKey: CodingKey {}

  init(from decoder: any Decoder) throws { _ = try decoder.container(keyedBy: NoKey.self) }
}
