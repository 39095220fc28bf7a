internal import CFuse
internal import Glibc
internal import SystemPackage

/// Exactly one answer to one request: every method consumes it, and one that is dropped answers EIO. The only file that
/// answers the kernel.
///
/// Methods that return Bool tell whether the kernel took the answer. It did not when the caller was killed meanwhile:
/// then what the answer handed out (an open handle, a lookup) is still ours to take back.
struct Reply: ~Copyable {
  private let request: fuse_req_t

  init(to request: fuse_req_t) { self.request = request }

  deinit { fuse_reply_err(request, EIO) }

  consuming func failure(_ error: Errno) { status(error.rawValue) }

  /// 0 is success.
  consuming func status(_ errno: Int32) {
    fuse_reply_err(request, errno)
    discard self
  }

  /// For FORGET, which has no answer.
  consuming func none() {
    fuse_reply_none(request)
    discard self
  }

  consuming func entry(_ entry: Entry) -> Bool {
    var parameters = entry.parameters
    let result = fuse_reply_entry(request, &parameters)
    discard self
    return result == 0
  }

  consuming func created(_ entry: Entry, _ file: inout fuse_file_info) -> Bool {
    var parameters = entry.parameters
    let result = fuse_reply_create(request, &parameters, &file)
    discard self
    return result == 0
  }

  consuming func opened(_ file: inout fuse_file_info) -> Bool {
    let result = fuse_reply_open(request, &file)
    discard self
    return result == 0
  }

  consuming func attributes(_ attributes: FileAttributes) {
    var status = attributes.status
    fuse_reply_attr(request, &status, attributes.timeout)
    discard self
  }

  /// `target`: what a symbolic link points to.
  consuming func link(_ target: [UInt8]) {
    var text = target.map { CChar(bitPattern: $0) }
    text.append(0)
    fuse_reply_readlink(request, text)
    discard self
  }

  consuming func written(_ count: Int) {
    fuse_reply_write(request, count)
    discard self
  }

  /// The first `count` of `bytes`.
  consuming func bytes(_ bytes: [UInt8], count: Int) {
    let request = request
    bytes.withUnsafeBytes { bytes in
      _ = fuse_reply_buf(request, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), count)
    }
    discard self
  }

  /// Spliced from `file`; not moved (FUSE_BUF_SPLICE_MOVE), which would take the pages out of the file's page cache.
  consuming func spliced(from file: FileDescriptor, offset: Int64, count: Int) {
    var flags = FUSE_BUF_IS_FD.rawValue
    flags |= FUSE_BUF_FD_SEEK.rawValue
    flags |= FUSE_BUF_FD_RETRY.rawValue
    let source = fuse_buf(
      size: count, flags: fuse_buf_flags(rawValue: flags), mem: nil, fd: file.rawValue, pos: off_t(offset))
    var vector = fuse_bufvec(count: 1, idx: 0, off: 0, buf: source)
    fuse_reply_data(request, &vector, fuse_buf_copy_flags(rawValue: 0))
    discard self
  }

  consuming func statistics(_ statistics: FileSystemStatistics) {
    var status = statistics.status
    fuse_reply_statfs(request, &status)
    discard self
  }

  consuming func position(_ offset: Int64) {
    fuse_reply_lseek(request, off_t(offset))
    discard self
  }

  /// An extended attribute or a list of names, as getxattr(2) wants it: `room` 0 asks for the size only.
  consuming func attributeValue(_ value: [UInt8], room: Int) {
    if room == 0 {
      fuse_reply_xattr(request, value.count)
    } else if value.count > room {
      fuse_reply_err(request, ERANGE)
    } else {
      let request = request
      value.withUnsafeBytes { bytes in
        _ = fuse_reply_buf(request, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
      }
    }
    discard self
  }
}
