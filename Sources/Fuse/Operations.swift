internal import CFuse
internal import Glibc
internal import SystemPackage

/// The table libfuse calls: C arguments become Swift values, nothing else happens here. Left out on purpose: getlk, setlk
/// and flock (locks stay in the kernel and so survive a worker), access (the kernel checks with default_permissions).
func makeOperations() -> fuse_lowlevel_ops {
  var table = fuse_lowlevel_ops()
  table.`init` = { userdata, connection in
    guard let userdata, let connection else { return }
    Unmanaged<SessionContext>.fromOpaque(userdata).takeUnretainedValue().choose(&connection.pointee)
  }
  addNames(to: &table)
  addAttributes(to: &table)
  addFiles(to: &table)
  addDirectories(to: &table)
  return table
}

private func addNames(to table: inout fuse_lowlevel_ops) {
  table.lookup = { raw, parent, name in
    let request = Request(raw)
    request.entry { () throws(Errno) in try request.fileSystem.lookup(FileName(name), in: NodeID(rawValue: parent)) }
  }
  table.forget = { raw, node, count in
    let request = Request(raw)
    request.fileSystem.forget(NodeID(rawValue: node), count: count)
    request.noAnswer()
  }
  table.forget_multi = { raw, count, forgets in
    let request = Request(raw)
    for forget in UnsafeBufferPointer(start: forgets, count: count) {
      request.fileSystem.forget(NodeID(rawValue: forget.ino), count: forget.nlookup)
    }
    request.noAnswer()
  }
  table.readlink = { raw, node in
    let request = Request(raw)
    request.answer({ () throws(Errno) in try request.fileSystem.readLink(NodeID(rawValue: node)) }) {
      $0.link($1)
    }
  }
  table.mknod = { raw, parent, name, mode, device in
    let request = Request(raw)
    let (name, parent) = (FileName(name), NodeID(rawValue: parent))
    request.entryOnce(name, in: parent) { () throws(Errno) in
      try request.fileSystem.makeNode(name, in: parent, mode: mode, device: UInt64(device), request.context)
    }
  }
  table.mkdir = { raw, parent, name, mode in
    let request = Request(raw)
    let (name, parent) = (FileName(name), NodeID(rawValue: parent))
    request.entryOnce(name, in: parent) { () throws(Errno) in
      try request.fileSystem.makeDirectory(name, in: parent, mode: mode, request.context)
    }
  }
  table.symlink = { raw, target, parent, name in
    let request = Request(raw)
    let (name, parent) = (FileName(name), NodeID(rawValue: parent))
    request.entryOnce(name, in: parent) { () throws(Errno) in
      try request.fileSystem.makeSymlink(name, in: parent, target: FileName(target).bytes, request.context)
    }
  }
  table.link = { raw, node, parent, name in
    let request = Request(raw)
    let (name, parent) = (FileName(name), NodeID(rawValue: parent))
    request.entryOnce(name, in: parent) { () throws(Errno) in
      try request.fileSystem.link(NodeID(rawValue: node), as: name, in: parent, request.context)
    }
  }
  table.unlink = { raw, parent, name in
    let request = Request(raw)
    request.once { () throws(Errno) in
      try request.fileSystem.unlink(FileName(name), in: NodeID(rawValue: parent), request.context)
    }
  }
  table.rmdir = { raw, parent, name in
    let request = Request(raw)
    request.once { () throws(Errno) in
      try request.fileSystem.removeDirectory(FileName(name), in: NodeID(rawValue: parent), request.context)
    }
  }
  table.rename = { raw, parent, name, newParent, newName, flags in
    let request = Request(raw)
    request.once { () throws(Errno) in
      try request.fileSystem.rename(
        FileName(name), in: NodeID(rawValue: parent), to: FileName(newName), in: NodeID(rawValue: newParent),
        flags: flags, request.context)
    }
  }
}

private func addAttributes(to table: inout fuse_lowlevel_ops) {
  table.getattr = { raw, node, _ in
    let request = Request(raw)
    request.answer({ () throws(Errno) in try request.fileSystem.attributes(of: NodeID(rawValue: node)) }) {
      $0.attributes($1)
    }
  }
  table.setattr = { raw, node, status, fields, info in
    let request = Request(raw)
    guard let status else { return request.answer { () throws(Errno) in throw .invalidArgument } }
    let node = NodeID(rawValue: node)
    let handle = info.map { HandleID(rawValue: $0.pointee.fh) }
    let changes = AttributeChanges(status.pointee, fields: fields, handle: handle)
    request.attributesOnce(of: node) { () throws(Errno) in
      try request.fileSystem.setAttributes(changes, of: node, request.context)
    }
  }
  table.statfs = { raw, node in
    let request = Request(raw)
    request.answer({ () throws(Errno) in try request.fileSystem.statistics(NodeID(rawValue: node)) }) {
      $0.statistics($1)
    }
  }
  table.getxattr = { raw, node, name, room in
    let request = Request(raw)
    request.answer({ () throws(Errno) in
      try request.fileSystem.extendedAttribute(FileName(name).bytes, of: NodeID(rawValue: node))
    }) { $0.attributeValue($1, room: room) }
  }
  table.listxattr = { raw, node, room in
    let request = Request(raw)
    request.answer({ () throws(Errno) in
      try request.fileSystem.extendedAttributeNames(of: NodeID(rawValue: node), request.context).flatMap { $0 + [0] }
    }) { $0.attributeValue($1, room: room) }
  }
  table.setxattr = { raw, node, name, value, count, flags in
    let request = Request(raw)
    let value = [UInt8](UnsafeRawBufferPointer(start: value, count: value == nil ? 0 : count))
    request.once { () throws(Errno) in
      try request.fileSystem.setExtendedAttribute(
        FileName(name).bytes, value, flags: flags, of: NodeID(rawValue: node), request.context)
    }
  }
  table.removexattr = { raw, node, name in
    let request = Request(raw)
    request.once { () throws(Errno) in
      try request.fileSystem.removeExtendedAttribute(
        FileName(name).bytes, of: NodeID(rawValue: node), request.context)
    }
  }
}
