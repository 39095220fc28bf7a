import CLinux
import Fuse
import Glibc
import Synchronization
import SystemPackage

/// Open files.
extension PassthroughFileSystem {
  func create(
    _ name: FileName, in parent: NodeID, mode: UInt32, flags: Int32, _ context: RequestContext
  ) throws(Errno) -> (Entry, OpenedFile) {
    try naming.withLock { _ throws(Errno) in
      try createLocked(name, in: parent, mode: mode, flags: flags, context)
    }
  }

  private func createLocked(
    _ name: FileName, in parent: NodeID, mode: UInt32, flags: Int32, _ context: RequestContext
  ) throws(Errno) -> (Entry, OpenedFile) {
    let path = try path(name, in: parent)
    var file = Glibc.open(path, (flags & ~O_ACCMODE & ~O_APPEND) | O_RDWR | O_CREAT | O_CLOEXEC, mode)
    if file < 0, errno == EEXIST, context.mayHaveRun { file = Glibc.open(path, O_RDWR | O_CLOEXEC) }
    guard file >= 0 else { throw Errno(rawValue: errno) }
    let entry = try madeLocked(name, in: parent, context) { _ in 0 }
    return (entry, OpenedFile(handle: try keep(file, entry.node, flags, context)))
  }

  func open(_ node: NodeID, flags: Int32, _ context: RequestContext) throws(Errno) -> OpenedFile {
    let file = Glibc.open(try path(node), (flags & ~O_ACCMODE & ~O_APPEND & ~O_CREAT) | O_RDWR | O_CLOEXEC)
    guard file >= 0 else { throw Errno(rawValue: errno) }
    return OpenedFile(handle: try keep(file, node, flags, context))
  }

  private func keep(_ file: CInt, _ node: NodeID, _ flags: Int32, _ context: RequestContext) throws(Errno) -> HandleID {
    do throws(Errno) {
      let handle = try handles.open(node: node, flags: flags, context: context)
      if let old = state.withLock({ $0.files.updateValue(file, forKey: handle) }) { close(old) }
      return handle
    } catch {
      close(file)
      throw error
    }
  }

  /// The handle's descriptor; opened again when an earlier worker had it.
  private func file(_ handle: HandleID) throws(Errno) -> CInt {
    if let file = state.withLock({ $0.files[handle] }) { return file }
    guard let entry = handles.entry(handle) else { throw .badFileDescriptor }
    let file = Glibc.open(try path(entry.node), O_RDWR | O_CLOEXEC)
    guard file >= 0 else { throw Errno(rawValue: errno) }
    return state.withLock { state in
      if let other = state.files[handle] {
        close(file)
        return other
      }
      state.files[handle] = file
      return file
    }
  }

  func read(_ node: NodeID, _ handle: HandleID, offset: Int64, count: Int) throws(Errno) -> FileBytes {
    .descriptor(FileDescriptor(rawValue: try file(handle)), offset: offset, count: count)
  }

  func write(
    _ node: NodeID, _ handle: HandleID, offset: Int64, _ bytes: borrowing IncomingBytes, _ context: RequestContext
  ) throws(Errno) -> Int {
    if let name = state.withLock({ $0.names[node.rawValue]?.first?.name }) { Faults.crash(name) }
    return try bytes.copy(to: FileDescriptor(rawValue: try file(handle)), at: offset)
  }

  func flush(_ node: NodeID, _ handle: HandleID) throws(Errno) {}

  func release(_ node: NodeID, _ handle: HandleID, _ context: RequestContext) {
    if let file = state.withLock({ $0.files.removeValue(forKey: handle) }) { close(file) }
    _ = handles.close(handle)
    var isOpen = false
    handles.forEach { _, other, _ in if other == node { isOpen = true } }
    if !isOpen { _ = Glibc.unlink(graveyard + "/\(node.rawValue)") }
  }

  func synchronize(_ node: NodeID, _ handle: HandleID, dataOnly: Bool) throws(Errno) {
    Faults.wait(try path(node), folder: folder)
    try check(fsync(try file(handle)))
  }

  func seek(_ node: NodeID, _ handle: HandleID, offset: Int64, whence: Int32) throws(Errno) -> Int64 {
    let found = lseek(try file(handle), off_t(offset), whence)
    if found < 0 { throw Errno(rawValue: errno) }
    return Int64(found)
  }

  func allocate(
    _ node: NodeID, _ handle: HandleID, mode: Int32, offset: Int64, count: Int64, _ context: RequestContext
  ) throws(Errno) {
    try check(fallocate(try file(handle), mode, off_t(offset), off_t(count)))
  }

  func copyRange(
    from source: (node: NodeID, handle: HandleID, offset: Int64),
    to target: (node: NodeID, handle: HandleID, offset: Int64), count: Int, flags: UInt32, _ context: RequestContext
  ) throws(Errno) -> Int {
    var (from, to) = (off64_t(source.offset), off64_t(target.offset))
    let copied = copy_file_range(try file(source.handle), &from, try file(target.handle), &to, count, flags)
    if copied < 0 { throw Errno(rawValue: errno) }
    return copied
  }
}
