// Signs requests and reads answers for Tests/Peers/s3_peers.py, which does the sending: one JSON object a line in, one
// out. Place and keys come from where the AWS tools have them: AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, AWS_REGION …
//
// {"sign": "uploadPart", "key_hex": …, "body_hex": …, "upload": …, "number": …}  →  {"method", "url", "headers", "body_hex"}
// {"read": "createUpload", "status": 200, "headers": {…}, "body_hex": …}         →  the value, or {"meaning", "words"}
import Foundation

guard CommandLine.arguments.count >= 2 else {
  FileHandle.standardError.write(Data("usage: s3-probe BUCKET [auto|path|virtual]\n".utf8))
  exit(64)
}
do {
  let probe = try S3Probe(
    bucket: CommandLine.arguments[1], style: CommandLine.arguments.dropFirst(2).first,
    environment: ProcessInfo.processInfo.environment)
  while let line = readLine() {
    let answer = try probe.answer(to: try JSONDecoder().decode(ProbeLine.self, from: Data(line.utf8)))
    // Not `print`: its buffer would keep the answer while the other side waits for it.
    FileHandle.standardOutput.write(try JSONSerialization.data(withJSONObject: answer, options: .sortedKeys) + [0x0a])
  }
} catch {
  FileHandle.standardError.write(Data("s3-probe: \(error)\n".utf8))
  exit(1)
}
