internal import CFuse
internal import Glibc
internal import SystemPackage

/// Operations on open files.
func addFiles(to table: inout fuse_lowlevel_ops) {
  table.create = { raw, parent, name, mode, info in
    let request = Request(raw)
    guard let info = info?.pointee else { return request.answer { () throws(Errno) in throw .invalidArgument } }
    let (name, parent) = (FileName(name), NodeID(rawValue: parent))
    request.createOnce(name, in: parent, info) { () throws(Errno) in
      try request.fileSystem.create(name, in: parent, mode: mode, flags: info.flags, request.context)
    }
  }
  table.open = { raw, node, info in
    let request = Request(raw)
    guard let info = info?.pointee else { return request.answer { () throws(Errno) in throw .invalidArgument } }
    let node = NodeID(rawValue: node)
    request.openOnce(node, info) { () throws(Errno) in
      try request.fileSystem.open(node, flags: info.flags, request.context)
    }
  }
  table.read = { raw, node, count, offset, info in
    let request = Request(raw)
    request.answer({ () throws(Errno) in
      try request.fileSystem.read(NodeID(rawValue: node), HandleID(info), offset: Int64(offset), count: count)
    }) { reply, bytes in
      switch bytes {
      case .descriptor(let file, let offset, let count): reply.spliced(from: file, offset: offset, count: count)
      case .pinned(let file, let offset, let count, let done):
        reply.spliced(from: file, offset: offset, count: count)
        done()
      case .bytes(let bytes): reply.bytes(bytes, count: bytes.count)
      }
    }
  }
  table.write_buf = { raw, node, vector, offset, info in
    let request = Request(raw)
    request.answer({ () throws(Errno) -> Int in
      guard let vector else { throw .invalidArgument }
      let bytes = IncomingBytes(vector)
      return try request.fileSystem.write(
        NodeID(rawValue: node), HandleID(info), offset: Int64(offset), bytes, request.context)
    }) { $0.written($1) }
  }
  table.flush = { raw, node, info in
    let request = Request(raw)
    request.answer { () throws(Errno) in
      try request.fileSystem.flush(NodeID(rawValue: node), HandleID(info))
    }
  }
  table.release = { raw, node, info in
    let request = Request(raw)
    request.once { () throws(Errno) in
      request.fileSystem.release(NodeID(rawValue: node), HandleID(info), request.context)
    }
  }
  table.fsync = { raw, node, dataOnly, info in
    let request = Request(raw)
    request.answer { () throws(Errno) in
      try request.fileSystem.synchronize(NodeID(rawValue: node), HandleID(info), dataOnly: dataOnly != 0)
    }
  }
  table.fallocate = { raw, node, mode, offset, count, info in
    let request = Request(raw)
    request.answer { () throws(Errno) in
      try request.fileSystem.allocate(
        NodeID(rawValue: node), HandleID(info), mode: mode, offset: Int64(offset), count: Int64(count),
        request.context)
    }
  }
  table.lseek = { raw, node, offset, whence, info in
    let request = Request(raw)
    request.answer({ () throws(Errno) in
      try request.fileSystem.seek(NodeID(rawValue: node), HandleID(info), offset: Int64(offset), whence: whence)
    }) { $0.position($1) }
  }
  table.copy_file_range = { raw, node, offset, info, toNode, toOffset, toInfo, count, flags in
    let request = Request(raw)
    request.answer({ () throws(Errno) in
      try request.fileSystem.copyRange(
        from: (NodeID(rawValue: node), HandleID(info), Int64(offset)),
        to: (NodeID(rawValue: toNode), HandleID(toInfo), Int64(toOffset)), count: count,
        flags: UInt32(bitPattern: flags), request.context)
    }) { $0.written($1) }
  }
}

extension HandleID {
  /// The handle in `info`; 0 (which stands for none) without one.
  init(_ info: UnsafeMutablePointer<fuse_file_info>?) { self.init(rawValue: info?.pointee.fh ?? 0) }
}
