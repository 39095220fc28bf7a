import Glibc
import Spool
import SystemPackage
import Testing
import UploadCore
import UploadProtocol

@Suite("SpoolTree")
struct SpoolTreeTests {
  @Test("a node is found by its inode, also when nothing was remembered")
  func walking() throws {
    let harness = try SpoolHarness()
    defer { harness.remove() }
    mkdir(harness.path("a"), 0o755)
    mkdir(harness.path("a/b"), 0o755)
    let inode = try harness.inode("a/b")

    #expect(try harness.spool.tree.pathBelowRoot(inode) == Array("a/b".utf8))
    #expect(throws: SpoolError.missing) { try harness.spool.tree.locate(inode &+ 1_000_000) }
  }

  @Test("a path follows the renames of the folders above it")
  func renamedFolder() throws {
    let harness = try SpoolHarness()
    defer { harness.remove() }
    mkdir(harness.path("a"), 0o755)
    mkdir(harness.path("a/b"), 0o755)
    let (tree, folder, inode) = (harness.spool.tree, try harness.inode("a"), try harness.inode("a/b"))
    _ = try tree.pathBelowRoot(inode)

    rename(harness.path("a"), harness.path("c"))
    tree.remember(folder, as: Array("c".utf8), in: tree.rootInode)

    #expect(try tree.pathBelowRoot(inode) == Array("c/b".utf8))
  }
}
