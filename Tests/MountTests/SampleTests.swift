import Foundation
import Glibc
import TestSupport
import Testing

/// Sample output in the documents is output of this program: a block below `<!-- sample: SCENE -->` is run, command by
/// command (lines that begin with `$ `), in a world that the scene prepares, and compared. What differs from run to run
/// (times, ids, ports, the mount point) is masked on both sides.
@Suite("samples in the documents", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct SampleTests {
  struct Sample: Sendable, CustomTestStringConvertible {
    let document: String
    let scene: String
    let lines: [String]
    var testDescription: String { "\(document): \(scene)" }
  }

  private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  private static let documents: [String] =
    ["README.md"]
    + ((try? FileManager.default.contentsOfDirectory(atPath: root.appending(path: "docs").path)) ?? [])
    .filter { $0.hasSuffix(".md") }.sorted().map { "docs/" + $0 }

  private static func lines(_ document: String) -> [String] {
    ((try? String(contentsOf: root.appending(path: document), encoding: .utf8)) ?? "").components(separatedBy: "\n")
  }

  static let samples: [Sample] = documents.flatMap { document in
    let lines = lines(document)
    return lines.indices.compactMap { index -> Sample? in
      guard let scene = lines[index].wholeMatch(of: /<!-- sample: (.+) -->/)?.output.1 else { return nil }
      let block = lines[(index + 1)...].drop { $0.isEmpty }
      return Sample(document: document, scene: String(scene), lines: Array(block.dropFirst().prefix { !$0.hasPrefix("```") }))
    }
  }

  @Test("the program says what the documents show", arguments: samples)
  func shown(sample: Sample) async throws {
    try await withWorld { world in
      try Self.prepare(sample.scene, world)
      var said: [String] = []
      for line in sample.lines where line.hasPrefix("$ ") {
        said.append(line)
        let child = try world.start(
          ["/bin/sh", "-c", "cd \"$DIR/home\" && \(line.dropFirst(2))"],
          environment: ["PATH": "\(URL(filePath: Machine.reelfs).deletingLastPathComponent().path):/usr/bin:/bin", "LC_ALL": "C.UTF-8"])
        _ = try child.wait(seconds: 30)
        said += child.said.components(separatedBy: "\n").filter { !$0.isEmpty }
      }
      let (shown, output) = (sample.lines.filter { !$0.isEmpty }.map { Self.masked($0, world) }, said.map { Self.masked($0, world) })
      #expect(shown == output, "the document shows\n\(shown.joined(separator: "\n"))\nand the program says\n\(output.joined(separator: "\n"))")
    }
  }

  @Test("every block with a command and what it says is such a sample")
  func allAreSamples() {
    for document in Self.documents {
      let lines = Self.lines(document)
      for index in lines.indices.dropFirst(2) where lines[index].hasPrefix("$ ") {
        let start = lines[..<index].lastIndex { $0.hasPrefix("```") } ?? 0
        #expect(start > 0 && lines[start - 1].hasPrefix("<!-- sample: "), "\(document): \(lines[index])")
      }
    }
    #expect(!Self.samples.isEmpty)
  }

  /// A home with a mount `Recordings` and, beside it, something to copy.
  private static func prepare(_ scene: String, _ world: World) throws {
    let home = world.folder + "/home"
    mkdir(home, 0o755)
    try call("symlink") { symlink(world.mountpoint, home + "/Recordings") }
    try Files.write(Path(home + "/interview.wav"), noise(mebibyte, seed: 7))
    try world.startReceiver()
    try world.startMount(to: world.receiverURL)
    try Files.write(world.path("take1.mkv"), noise(3 * mebibyte / 2))
    try Files.write(world.path("interview.wav"), noise(mebibyte, seed: 7))
    try world.waitUntilSynced("take1.mkv", "interview.wav")
    // Computed in the background after that.
    try eventually("the digest is known") { world.attribute("sha256", of: "take1.mkv") != nil }
    switch scene {
    case "synced", "pausing": break
    case "receiver gone":
      try world.stopReceiver()
      try Files.write(world.path("take2.mkv"), noise(mebibyte, seed: 2))
      try world.wait(for: "paused", of: "take2.mkv")
    default: throw Failure("no scene is called \(scene)")
    }
  }

  private static func masked(_ line: String, _ world: World) -> String {
    var line = line.replacing(world.mountpoint, with: "/home/me/Recordings").replacing(world.folder, with: "/home/me")
    line = line.replacing(/sess_[0-9a-f]{16}/, with: "sess_X").replacing(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/, with: "TIME")
    line = line.replacing(/[0-9a-f]{64}/, with: "SHA256")
    line = line.replacing(/127\.0\.0\.1:\d+/, with: "127.0.0.1:PORT").replacing(/lag_seconds: [\d.]+/, with: "lag_seconds: N")
    while line.last == " " { line.removeLast() }
    return line
  }
}
