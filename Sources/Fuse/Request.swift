internal import CFuse
internal import SystemPackage

/// One request within its callback: runs the file system's method, or repeats the answer of an earlier execution that a
/// worker finished and did not live to send; then answers, once.
struct Request {
  private let raw: fuse_req_t
  private let thread: RequestThread
  let fileSystem: any FileSystem
  let context: RequestContext

  /// Only on a request thread, within a callback.
  init(_ request: fuse_req_t?) {
    guard let request, let thread = RequestThread.current, let userdata = fuse_req_userdata(request) else {
      preconditionFailure("libfuse calls back with a request, on the thread that processes it")
    }
    self.raw = request
    self.thread = thread
    self.fileSystem = Unmanaged<SessionContext>.fromOpaque(userdata).takeUnretainedValue().fileSystem
    self.context = thread.context(request)
  }

  /// For operations that may be carried out twice: answers with what `body` gives through `send`.
  func answer<Value>(
    _ body: () throws(Errno) -> Value, with send: (consuming Reply, Value) -> Void
  ) {
    let reply = Reply(to: raw)
    let result: Result<Value, Errno>
    do throws(Errno) { result = .success(try body()) } catch { result = .failure(error) }
    thread.willAnswer()
    switch result {
    case .success(let value): send(reply, value)
    case .failure(let error): reply.failure(error)
    }
  }

  /// The same for operations without a result.
  func answer(_ body: () throws(Errno) -> Void) { answer(body) { reply, _ in reply.status(0) } }

  func noAnswer() { Reply(to: raw).none() }

  /// For operations that must not be carried out twice and have no result.
  func once(_ body: () throws(Errno) -> Void) {
    if let finished = thread.finished {
      thread.willAnswer()
      return Reply(to: raw).status(finished.errno)
    }
    answer { () throws(Errno) in
      try recorded(body) { _ in RequestLedger.Outcome(errno: 0) }
    }
  }

  /// For operations that make a name: done before, the name is looked up.
  func entryOnce(_ name: FileName, in parent: NodeID, _ body: () throws(Errno) -> Entry) {
    answer({ () throws(Errno) -> Entry in
      if let finished = thread.finished {
        try finished.check()
        return try fileSystem.lookup(name, in: parent)
      }
      return try recorded(body) { _ in RequestLedger.Outcome(errno: 0) }
    }, with: sendEntry)
  }

  func entry(_ body: () throws(Errno) -> Entry) { answer(body, with: sendEntry) }

  /// For SETATTR: done before, the attributes are read.
  func attributesOnce(of node: NodeID, _ body: () throws(Errno) -> FileAttributes) {
    answer({ () throws(Errno) -> FileAttributes in
      if let finished = thread.finished {
        try finished.check()
        return try fileSystem.attributes(of: node)
      }
      return try recorded(body) { _ in RequestLedger.Outcome(errno: 0) }
    }) { reply, attributes in reply.attributes(attributes) }
  }

  /// For OPEN: done before, the handle it gave is given again.
  func openOnce(_ node: NodeID, _ info: fuse_file_info, _ body: () throws(Errno) -> OpenedFile) {
    answer({ () throws(Errno) -> OpenedFile in
      if let finished = thread.finished {
        try finished.check()
        return finished.file
      }
      return try recorded(body) { RequestLedger.Outcome($0) }
    }) { reply, file in
      var info = info
      file.fill(&info)
      if !reply.opened(&info) { fileSystem.release(node, file.handle, context) }
    }
  }

  func createOnce(
    _ name: FileName, in parent: NodeID, _ info: fuse_file_info, _ body: () throws(Errno) -> (Entry, OpenedFile)
  ) {
    answer({ () throws(Errno) -> (Entry, OpenedFile) in
      if let finished = thread.finished {
        try finished.check()
        let file = finished.file
        return (name == .none ? try fileSystem.entry(of: file.handle) : try fileSystem.lookup(name, in: parent), file)
      }
      return try recorded(body) { RequestLedger.Outcome($0.1) }
    }) { reply, created in
      var info = info
      created.1.fill(&info)
      if !reply.created(created.0, &info) {
        fileSystem.release(created.0.node, created.1.handle, context)
        fileSystem.forget(created.0.node, count: 1)
      }
    }
  }

  /// A directory's handle is opened again: openings of directories leave no trace in the file system.
  func openDirectory(_ node: NodeID, _ info: fuse_file_info, _ body: () throws(Errno) -> OpenedDirectory) {
    answer(body) { reply, directory in
      var info = info
      info.fh = directory.handle.rawValue
      // The second: names that an earlier opening left there are still good.
      info.cache_readdir = directory.keepsNames ? 1 : 0
      info.keep_cache = info.cache_readdir
      if !reply.opened(&info) { fileSystem.releaseDirectory(node, directory.handle, context) }
    }
  }

  private func sendEntry(_ reply: consuming Reply, _ entry: Entry) {
    if !reply.entry(entry) { fileSystem.forget(entry.node, count: 1) }
  }

  /// Runs `body` and enters its outcome into the ledger, before any answer.
  private func recorded<Value>(
    _ body: () throws(Errno) -> Value, outcome: (Value) -> RequestLedger.Outcome
  ) throws(Errno) -> Value {
    do throws(Errno) {
      let value = try body()
      thread.finish(outcome(value))
      return value
    } catch {
      thread.finish(RequestLedger.Outcome(errno: error.rawValue))
      throw error
    }
  }
}

extension RequestLedger.Outcome {
  init(_ file: OpenedFile) {
    self.init(errno: 0, handle: file.handle.rawValue, isDirect: file.isDirect, keepsCache: file.keepsCache)
  }

  fileprivate var file: OpenedFile {
    OpenedFile(handle: HandleID(rawValue: handle), isDirect: isDirect, keepsCache: keepsCache)
  }

  fileprivate func check() throws(Errno) {
    if errno != 0 { throw Errno(rawValue: errno) }
  }
}

extension OpenedFile {
  fileprivate func fill(_ info: inout fuse_file_info) {
    info.fh = handle.rawValue
    info.direct_io = isDirect ? 1 : 0
    info.keep_cache = keepsCache ? 1 : 0
  }
}
