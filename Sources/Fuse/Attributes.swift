internal import CFuse
internal import Glibc

/// The only place where C's integer widths meet ours.
extension FileAttributes {
  var status: stat {
    var status = stat()
    status.st_ino = ino_t(inode)
    status.st_mode = mode
    status.st_nlink = nlink_t(links)
    status.st_uid = userID
    status.st_gid = groupID
    status.st_rdev = dev_t(device)
    status.st_size = off_t(size)
    status.st_blocks = blkcnt_t(blocks)
    status.st_blksize = blksize_t(blockSize)
    status.st_atim = accessTime.timespec
    status.st_mtim = modificationTime.timespec
    status.st_ctim = changeTime.timespec
    return status
  }
}

extension FileTime {
  var timespec: timespec { Glibc.timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds)) }
  init(_ time: timespec) { self.init(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec)) }
}

extension Entry {
  var parameters: fuse_entry_param {
    var parameters = fuse_entry_param()
    parameters.ino = node.rawValue
    parameters.generation = generation
    parameters.attr = attributes.status
    parameters.attr_timeout = attributeTimeout
    parameters.entry_timeout = entryTimeout
    return parameters
  }
}

extension AttributeChanges {
  /// `fields`: FUSE_SET_ATTR bits that say which members of `status` count.
  init(_ status: stat, fields: Int32, handle: HandleID?) {
    self.init()
    self.handle = handle
    if fields & FUSE_SET_ATTR_MODE != 0 { mode = status.st_mode }
    if fields & FUSE_SET_ATTR_UID != 0 { userID = status.st_uid }
    if fields & FUSE_SET_ATTR_GID != 0 { groupID = status.st_gid }
    if fields & FUSE_SET_ATTR_SIZE != 0 { size = Int64(status.st_size) }
    if fields & FUSE_SET_ATTR_ATIME_NOW != 0 {
      accessTime = .now
    } else if fields & FUSE_SET_ATTR_ATIME != 0 {
      accessTime = .at(FileTime(status.st_atim))
    }
    if fields & FUSE_SET_ATTR_MTIME_NOW != 0 {
      modificationTime = .now
    } else if fields & FUSE_SET_ATTR_MTIME != 0 {
      modificationTime = .at(FileTime(status.st_mtim))
    }
  }
}

extension FileSystemStatistics {
  var status: statvfs {
    var status = statvfs()
    status.f_bsize = UInt(blockSize)
    status.f_frsize = UInt(blockSize)
    status.f_blocks = fsblkcnt_t(blocks)
    status.f_bfree = fsblkcnt_t(blocksFree)
    status.f_bavail = fsblkcnt_t(blocksAvailable)
    status.f_files = fsfilcnt_t(files)
    status.f_ffree = fsfilcnt_t(filesFree)
    status.f_favail = fsfilcnt_t(filesFree)
    status.f_namemax = UInt(nameLengthMax)
    return status
  }
}

extension FileName {
  init(_ name: UnsafePointer<CChar>?) {
    guard let name else {
      self.init(bytes: [])
      return
    }
    self.init(bytes: [UInt8](UnsafeRawBufferPointer(start: name, count: strlen(name))))
  }
}
