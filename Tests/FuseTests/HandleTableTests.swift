import Fuse
import SystemPackage
import Testing

@Suite struct HandleTableTests {
  private func context(_ unique: UInt64 = 0, mayHaveRun: Bool = false) -> RequestContext {
    RequestContext(userID: 0, groupID: 0, processID: 1, umask: 0, mayHaveRun: mayHaveRun, unique: unique)
  }

  @Test("a handle stands for its node and flags until it is closed, once")
  func openAndClose() throws {
    let handles = try SharedState.create().handles

    let handle = try handles.open(node: NodeID(rawValue: 7), flags: -3, context: context())

    #expect(handle.rawValue != 0)
    let entry = try #require(handles.entry(handle))
    #expect(entry.node == NodeID(rawValue: 7) && entry.flags == -3)
    #expect(handles.close(handle)?.node == NodeID(rawValue: 7))
    #expect(handles.close(handle) == nil)
    #expect(handles.entry(handle) == nil)
  }

  @Test("a handle closed twice does not close its successor in the same slot")
  func generations() throws {
    let handles = try SharedState.create().handles
    let first = try handles.open(node: NodeID(rawValue: 1), flags: 0, context: context())
    _ = handles.close(first)

    let second = try handles.open(node: NodeID(rawValue: 2), flags: 0, context: context())

    #expect(second != first)
    #expect(handles.close(first) == nil)
    #expect(handles.entry(second)?.node == NodeID(rawValue: 2))
  }

  @Test("the next worker finds the handles, and an OPEN handed out again gets its old one")
  func survivesWorker() throws {
    let state = try SharedState.create()
    let closed = try state.handles.open(node: NodeID(rawValue: 4), flags: 0, context: context(40))
    let handle = try state.handles.open(node: NodeID(rawValue: 5), flags: 2, context: context(50))
    _ = state.handles.close(closed)

    let next = try SharedState(descriptor: state.descriptor)

    #expect(next.handles.entry(handle)?.flags == 2)
    #expect(next.handles.count == 1)
    let again = try next.handles.open(node: NodeID(rawValue: 5), flags: 2, context: context(50, mayHaveRun: true))
    #expect(again == handle)
    let other = try next.handles.open(node: NodeID(rawValue: 6), flags: 2, context: context(60, mayHaveRun: true))
    #expect(other != handle && other != closed)
  }

  @Test("a full table answers ENFILE and takes a handle again after a close")
  func capacity() throws {
    let handles = try SharedState.create().handles
    var last = HandleID(rawValue: 0)
    for node in 1...UInt64(HandleTable.capacity) {
      last = try handles.open(node: NodeID(rawValue: node), flags: 0, context: context(node))
    }

    #expect(throws: Errno.tooManyOpenFilesInSystem) {
      try handles.open(node: .root, flags: 0, context: context())
    }

    #expect(handles.close(last) != nil)
    #expect(throws: Never.self) { try handles.open(node: .root, flags: 0, context: context()) }
  }

  @Test("a memory file of another layout is refused")
  func otherLayout() throws {
    let state = try SharedState.create()
    try state.descriptor.resize(to: 4096)
    #expect(throws: SharedStateError.notOurs) { try SharedState(descriptor: state.descriptor) }
  }
}
